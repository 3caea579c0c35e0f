// SPDX-License-Identifier: Apache-2.0
/* diag_suggest.c - "did you mean": edit distance over short words; see diag.h. */
#include "core/diag.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 40 /* longer words get no suggestion: nothing that we offer is so long */

/* Lower case, _ as -: what people mix up. Returns the length, WORD_MAX + 1 if it is too long. */
static size_t fold(const char *word, char out[WORD_MAX + 1])
{
	size_t n = 0;

	for (; word[n]; n++) {
		if (n == WORD_MAX)
			return WORD_MAX + 1;
		out[n] = word[n] == '_' ? '-' : (char)tolower((unsigned char)word[n]);
	}
	out[n] = '\0';
	return n;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Insertions, deletions, replacements and swaps of neighbours, one each. */
static unsigned int distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned int replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, replace);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

const char *diag_suggest(const char *word, const char *const *candidates)
{
	char w[WORD_MAX + 1], c[WORD_MAX + 1];
	unsigned int best = 0;
	const char *found = NULL;
	size_t lw = fold(word, w);

	if (!lw || lw > WORD_MAX)
		return NULL;
	for (; *candidates; candidates++) {
		size_t lc = fold(*candidates, c);
		unsigned int dist, limit;

		if (lc > WORD_MAX)
			continue;
		dist = distance(w, lw, c, lc);
		limit = (unsigned int)(lw < lc ? lc : lw) / 3;
		/* "addr" for "address": a beginning of three letters counts as near. */
		if (lw >= 3 && lw < lc && strncmp(w, c, lw) == 0 && limit < dist)
			limit = dist;
		if (dist <= (limit ? limit : 1) && dist < lc && (!found || dist < best)) {
			found = *candidates;
			best = dist;
		}
	}
	return found;
}

// SPDX-License-Identifier: Apache-2.0
/*
 * replay.c - run a corpus, file by file, through LLVMFuzzerTestOneInput() where there is no libFuzzer. Each
 * file is tried whole and cut short at every power of two, so that a small corpus covers truncation as well.
 */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>

static uint8_t *read_file(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	long n;

	if (!f)
		return NULL;
	if (fseek(f, 0, SEEK_END) == 0 && (n = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) {
		data = malloc((size_t)n + 1);
		if (data)
			*size = fread(data, 1, (size_t)n, f);
	}
	fclose(f);
	return data;
}

/* In a buffer of exactly that size, so that ASan sees a read past its end. */
static void try_input(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int replay(const char *path)
{
	size_t size = 0;
	uint8_t *data = read_file(path, &size);

	if (!data) {
		fprintf(stderr, "cannot read %s\n", path);
		return 1;
	}
	for (size_t cut = 1; cut < size; cut *= 2)
		try_input(data, cut);
	try_input(data, size);
	free(data);
	return 0;
}

static int replay_directory(const char *dir)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort), failed = 0, run = 0;
	char path[4096];

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
			failed |= replay(path);
			run++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	printf("%s: %d inputs\n", dir, run);
	if (!run) {
		fprintf(stderr, "%s: no corpus\n", dir);
		return 1;
	}
	return failed;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc; i++)
		failed |= replay_directory(argv[i]);
	return failed;
}

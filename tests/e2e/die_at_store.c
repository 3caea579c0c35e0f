// SPDX-License-Identifier: Apache-2.0
/*
 * die_at_store.c - preloaded into lbd by test_crash.sh: SIGKILL at a chosen store into the pinned maps.
 *
 * SIGUSR2 arms it: from then on every page of a mapped BPF array is read-only. A store faults, is counted, and is let
 * through alone (the page is opened for one instruction, by the trap flag); so is every update of a map by system
 * call. Number DIE_AT is not let through: the process dies in front of it. With DIE_AT=0 nothing dies; the number of
 * stores so far is kept in the file COUNT_IN.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define REGIONS_MAX 256
#define PAGE 4096u
#define TRAP_FLAG 0x100

struct region {
	uintptr_t start, end;
};

static struct region regions[REGIONS_MAX];
static volatile sig_atomic_t armed;
static volatile uintptr_t open_page;
static unsigned long *count; /* shared with COUNT_IN: survives us */
static unsigned long count_here, die_at;
static long (*real_syscall)(long, ...);

static void moment(void)
{
	if (++*count == die_at)
		raise(SIGKILL);
}

static bool is_ours(uintptr_t at)
{
	for (unsigned int i = 0; i < REGIONS_MAX; i++)
		if (at >= regions[i].start && at < regions[i].end)
			return true;
	return false;
}

/* System calls are made by syscall(2) itself from here on: our own mmap() must not hear of them. */
static void protect(uintptr_t start, size_t len, int prot)
{
	(void)syscall(SYS_mprotect, start, len, prot);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uintptr_t at = (uintptr_t)info->si_addr;

	if (!armed || !is_ours(at)) {
		signal(sig, SIG_DFL); /* a fault of its own: let it be seen */
		return;
	}
	moment();
	open_page = at & ~(uintptr_t)(PAGE - 1);
	protect(open_page, PAGE, PROT_READ | PROT_WRITE);
	u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)sig;
	(void)info;
	u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	if (is_ours(open_page))
		protect(open_page, PAGE, PROT_READ);
}

static void on_arm(int sig)
{
	(void)sig;
	armed = 1;
	for (unsigned int i = 0; i < REGIONS_MAX; i++)
		if (regions[i].end)
			protect(regions[i].start, regions[i].end - regions[i].start, PROT_READ);
}

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("DIE_AT"), *file = getenv("COUNT_IN");
	struct sigaction sa = { .sa_flags = SA_SIGINFO | SA_NODEFER };
	int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	die_at = at ? strtoul(at, NULL, 10) : 0;
	count = &count_here;
	if (fd >= 0 && ftruncate(fd, PAGE) == 0)
		count = (unsigned long *)syscall(SYS_mmap, NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sa.sa_sigaction = on_fault;
	sigaction(SIGSEGV, &sa, NULL);
	sa.sa_sigaction = on_trap;
	sigaction(SIGTRAP, &sa, NULL);
	signal(SIGUSR2, on_arm);
}

static bool is_bpf_map(int fd)
{
	char path[64], to[64] = { 0 };

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return fd >= 0 && readlink(path, to, sizeof(to) - 1) > 0 && strstr(to, "bpf-map");
}

static void forget(uintptr_t start, uintptr_t end)
{
	for (unsigned int i = 0; i < REGIONS_MAX; i++) {
		struct region *r = &regions[i];

		if (r->end <= start || r->start >= end)
			continue;
		/* The daemon unmaps whole mappings, or whole blocks at the end or the beginning of one. */
		if (r->start < start)
			r->end = start;
		else if (r->end > end)
			r->start = end;
		else
			*r = (struct region){ 0 };
	}
}

void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	void *p = (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return p;
	forget((uintptr_t)p, (uintptr_t)p + len);
	for (unsigned int i = 0; prot & PROT_WRITE && is_bpf_map(fd) && i < REGIONS_MAX; i++) {
		if (regions[i].end)
			continue;
		regions[i] = (struct region){ (uintptr_t)p, (uintptr_t)p + ((len + PAGE - 1) & ~(size_t)(PAGE - 1)) };
		if (armed)
			protect((uintptr_t)p, len, PROT_READ);
		break;
	}
	return p;
}

void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));

int munmap(void *addr, size_t len)
{
	forget((uintptr_t)addr, (uintptr_t)addr + len);
	return (int)syscall(SYS_munmap, addr, len);
}

long syscall(long number, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (unsigned int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real_syscall) /* somebody else's constructor runs before ours */
		real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	if (armed && number == SYS_bpf && (a[0] == BPF_MAP_UPDATE_ELEM || a[0] == BPF_MAP_DELETE_ELEM))
		moment();
	return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

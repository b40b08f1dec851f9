/* SPDX-License-Identifier: ISC */
#include "client/conn.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One conversion, from behind its '%'. Returns what follows it, or NULL. */
static const char *
convert(struct saedb_args *a, const char *name, const char *p, va_list *ap)
{
	static const char *const lengths[] = {"lld", "zu", "ld", "d", "u", "f", "s"};
	size_t i = 0, n = sizeof(lengths) / sizeof(*lengths);

	while (i < n && strncmp(p, lengths[i], strlen(lengths[i])) != 0)
		i++;
	if (i == n)
		return NULL;
	p += strlen(lengths[i]);
	if (i == 0)
		saedb_args_int(a, name, va_arg(*ap, long long));
	else if (i == 1)
		saedb_args_int(a, name, (int64_t)va_arg(*ap, size_t));
	else if (i == 2)
		saedb_args_int(a, name, va_arg(*ap, long));
	else if (i == 3)
		saedb_args_int(a, name, va_arg(*ap, int));
	else if (i == 4)
		saedb_args_int(a, name, va_arg(*ap, unsigned));
	else if (i == 5)
		saedb_args_float(a, name, va_arg(*ap, double));
	else
		saedb_args_str(a, name, va_arg(*ap, const char *));
	return p;
}

/* true, false, a number; other words as strings. */
static void
literal(struct saedb_args *a, const char *name, const char *word)
{
	char *end;
	long long i = strtoll(word, &end, 10);

	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
		saedb_args_bool(a, name, word[0] == 't');
	else if (*word != '\0' && *end == '\0')
		saedb_args_int(a, name, i);
	else if (strtod(word, &end), *word != '\0' && *end == '\0')
		saedb_args_float(a, name, strtod(word, NULL));
	else
		saedb_args_str(a, name, word);
}

static int
fill(struct saedb_args *a, const char *format, va_list *ap)
{
	const char *p = format;
	char name[64], word[64];

	for (;;) {
		size_t n;

		p += strspn(p, " ");
		if (*p == '\0')
			return 0;
		n = strcspn(p, "= ");
		if (p[n] != '=' || n == 0 || n >= sizeof(name))
			return SAEDB_BAD_ARGUMENT;
		memcpy(name, p, n);
		name[n] = '\0';
		p += n + 1;
		n = strcspn(p, " ");
		if (*p == '%') {
			p = convert(a, name, p + 1, ap);
			if (p == NULL || (*p != ' ' && *p != '\0'))
				return SAEDB_BAD_ARGUMENT;
		} else if (n < sizeof(word)) {
			memcpy(word, p, n);
			word[n] = '\0';
			literal(a, name, word);
			p += n;
		} else {
			return SAEDB_BAD_ARGUMENT;
		}
	}
}

int
saedb_ask(struct saedb *db, struct saedb_reply **reply, const char *method,
	const char *format, ...)
{
	struct saedb_args *a = saedb_args_new();
	va_list ap;
	int rc;

	*reply = NULL;
	va_start(ap, format);
	if (db == NULL)
		rc = SAEDB_NO_MEMORY;
	else if (a == NULL)
		rc = err_set(&db->err, ERR_NOMEM, "no memory for the arguments");
	else if (fill(a, format, &ap) != 0)
		rc = err_set(&db->err, ERR_ARG, "not a format of arguments: %s",
			format);
	else
		rc = saedb_call(db, reply, method, a);
	va_end(ap);
	saedb_args_free(a);
	return rc;
}

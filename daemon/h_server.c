/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "config.h"
#include "kernel/kernel.h"
#include "schema/limits.h"
#include "util/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
h_server_ping(struct req *q, struct out *o, struct err *e)
{
	(void)e;
	put_head(o, q, 0);
	out_end(o);
	return 0;
}

static void
put_counters(struct out *o, const struct counters *c)
{
	out_key(o, "counters");
	out_map(o, 6);
	out_key_uint(o, "requests", c->requests);
	out_key_uint(o, "errors", c->errors);
	out_key_uint(o, "connections", c->connections);
	out_key_uint(o, "bytes_in", c->bytes_in);
	out_key_uint(o, "bytes_out", c->bytes_out);
	out_key_uint(o, "refused", c->refused);
	out_end(o);
}

static void
put_limits(struct out *o)
{
	static const struct {
		const char *name;
		uint64_t v;
	} limit[] = {
		{"frame_bytes", LIMIT_FRAME_BYTES},
		{"reply_bytes", LIMIT_REPLY_BYTES},
		{"depth", LIMIT_DEPTH},
		{"values", LIMIT_NODES},
		{"connections", DAEMON_MAX_CONNS},
		{"requests_waiting", DAEMON_CONN_JOBS},
		{"batch", LIMIT_BATCH},
		{"page", LIMIT_PAGE},
		{"context", LIMIT_CONTEXT},
		{"label_bytes", LIMIT_LABEL_BYTES},
	};
	size_t n = sizeof(limit) / sizeof(limit[0]);

	out_key(o, "limits");
	out_map(o, n);
	for (size_t i = 0; i < n; i++)
		out_key_uint(o, limit[i].name, limit[i].v);
	out_end(o);
}

/* ---- memory, and what is in it ---------------------------------------------- */

/* Of this process, by the kernel: a line "NAME: N kB"; 0 where it does not say. */
static uint64_t
status_bytes(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at != NULL ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

static void
put_memory(struct out *o)
{
	struct buf b;
	const char *status = NULL;

	buf_init(&b);
	if (file_read("/proc/self/status", 65536, &b, NULL) == 0)
		status = buf_str(&b);
	if (status == NULL)
		status = "";
	out_key(o, "memory");
	out_map(o, 2);
	out_key_uint(o, "own_bytes", status_bytes(status, "\nRssAnon:"));
	out_key_uint(o, "mapped_bytes", status_bytes(status, "\nRssFile:"));
	out_end(o);
	buf_clear(&b);
}

static void
put_index(struct out *o, const struct cat_sae *sae, uint32_t direction,
	const struct store_ann *x)
{
	static const char *const state[] = {"waiting", "loaded", "refused"};

	out_map(o, 9);
	out_key_str(o, "sae", sae->name);
	out_key_str(o, "of", direction == STORE_ENCODER ? "encoder" : "decoder");
	out_key_str(o, "state", state[x->state]);
	out_key_str(o, "index", x->text);
	out_key_f64(o, "recall", x->recall);
	out_key_uint(o, "queries", x->n_queries);
	out_key_uint(o, "bytes", x->n_bytes);
	out_key_f64(o, "build_s", x->build_s);
	out_key_str(o, "error", x->state == STORE_ANN_REFUSED ? x->why : NULL);
	out_end(o);
}

static void
put_indexes(struct req *q, struct out *o)
{
	const struct store_catalog *c = q->cat;

	out_key(o, "indexes");
	out_array(o, c->n_anns);
	for (uint32_t i = 0; i < c->n_anns; i++) {
		struct err mine = ERR_INIT;
		struct store_ann x;

		if (store_ann_about(q->view, i, &x, &mine) != 0) {
			x = (struct store_ann){.state = STORE_ANN_REFUSED};
			snprintf(x.why, sizeof(x.why), "%.250s", mine.text);
		}
		put_index(o, &c->sae[c->ann[i].sae], c->ann[i].direction, &x);
	}
	out_end(o);
}

static void
put_model(struct out *o, struct live *l)
{
	struct live_state s;

	live_state(l, &s);
	out_key(o, "model");
	out_map(o, 4);
	out_key_str(o, "state", s.is);
	out_key_uint(o, "n_bytes", s.n_bytes);
	out_key_uint(o, "n_saes", s.n_saes);
	out_key_str(o, "why", s.why[0] != '\0' ? s.why : NULL);
	out_end(o);
}

int
h_server_info(struct req *q, struct out *o, struct err *e)
{
	const char *dir = store_dir(q->daemon->store);
	size_t n = 0;

	(void)e;
	while (dir[n] != '\0')
		n++;
	put_head(o, q, 14);
	out_key_str(o, "name", "saedbd");
	out_key_str(o, "version", PACKAGE_VERSION);
	out_key_int(o, "protocol", 1);
	out_key(o, "store");
	out_text(o, dir, n);
	out_key_int(o, "store_version", STORE_VERSION);
	out_key_bool(o, "read_only", q->read_only);
	out_key_f64(o, "uptime_s",
		(double)(daemon_now_ms() - q->daemon->start_ms) / 1000);
	out_key_str(o, "path", kernel_path_name(kernel_path()));
	out_key_str(o, "faiss", store_faiss());
	put_memory(o);
	put_indexes(q, o);
	put_counters(o, &q->daemon->counters);
	put_limits(o);
	put_model(o, q->daemon->live);
	out_end(o);
	return 0;
}

static void
put_bound(struct out *o, const char *key, const struct param *p, double v)
{
	bool given = p->type != PARAM_BOOL && p->type != PARAM_ANY && isfinite(v);

	out_key(o, key);
	if (!given)
		out_nil(o);
	else if (p->type == PARAM_FLOAT)
		out_f64(o, v);
	else
		out_int(o, (int64_t)v);
}

static int
put_param(struct out *o, const struct param *p, struct err *e)
{
	int rc = 0;

	out_map(o, 7);
	out_key_str(o, "name", p->name);
	out_key_str(o, "type", param_type_name(p->type));
	out_key_bool(o, "required", p->required);
	out_key(o, "default");
	if (p->preset == NULL)
		out_nil(o);
	else
		rc = out_json_text(o, p->preset, e);
	put_bound(o, "min", p, p->min);
	put_bound(o, "max", p, p->max);
	out_key_str(o, "doc", p->doc);
	out_end(o);
	return rc;
}

static int
put_method(struct out *o, const struct method *m, struct err *e)
{
	static const struct {
		unsigned bit;
		const char *name;
	} need[] = {{NEED_STORE, "store"}, {NEED_WRITE, "write"}, {NEED_SLOW, "slow"}};
	int rc = 0;

	out_map(o, 4);
	out_key_str(o, "name", m->name);
	out_key_str(o, "doc", m->doc);
	out_key(o, "needs");
	out_array(o, (size_t)__builtin_popcount(m->needs & ~NEED_TRY));
	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (m->needs & need[i].bit)
			out_str(o, need[i].name);
	out_end(o);
	out_key(o, "params");
	out_array(o, m->n_params);
	for (size_t i = 0; i < m->n_params && rc == 0; i++)
		rc = put_param(o, &m->param[i], e);
	if (rc < 0)
		return rc;
	out_end(o);
	out_end(o);
	return 0;
}

int
h_server_methods(struct req *q, struct out *o, struct err *e)
{
	put_head(o, q, 1);
	out_key(o, "methods");
	out_array(o, method_n);
	for (size_t i = 0; i < method_n; i++) {
		int rc = put_method(o, &method_table[i], e);

		if (rc < 0)
			return rc;
	}
	out_end(o);
	out_end(o);
	return 0;
}

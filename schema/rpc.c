/* SPDX-License-Identifier: ISC */
/* MessagePack-RPC's three messages. */
#include "schema/out.h"
#include "schema/value.h"

static int
read_id(struct rpc *r, const struct value *v, struct err *e)
{
	if (v->type != VALUE_INT || v->i < 0 || v->i > UINT32_MAX)
		return err_set(e, ERR_FORMAT,
			"a message's id must be from 0 to 4294967295");
	r->id = (uint32_t)v->i;
	return 0;
}

static int
read_call(struct rpc *r, const struct value *method, const struct value *params,
	struct err *e)
{
	if (method->type != VALUE_STR && method->type != VALUE_BIN)
		return err_set(e, ERR_FORMAT, "a method's name must be a string");
	if (params->type != VALUE_ARRAY && params->type != VALUE_MAP)
		return err_set(e, ERR_FORMAT, "a method's parameters must be an array");
	r->method = method;
	r->params = params;
	return 0;
}

int
rpc_read(struct rpc *r, const struct value *v, struct err *e)
{
	static const uint32_t n_parts[] = {4, 4, 3};
	int rc;

	*r = (struct rpc){0};
	if (v->type != VALUE_ARRAY || v->n < 1 || v->v[0].type != VALUE_INT ||
		v->v[0].i < RPC_REQUEST || v->v[0].i > RPC_NOTIFY)
		return err_set(e, ERR_FORMAT,
			"a message must be an array that begins with "
			"0, 1 or 2");
	r->type = (enum rpc_type)v->v[0].i;
	if (r->type != RPC_NOTIFY && v->n > 1) {
		rc = read_id(r, &v->v[1], e);
		if (rc < 0)
			return rc;
	}
	if (v->n != n_parts[r->type])
		return err_set(e, ERR_FORMAT,
			"a message of type %d must have %u parts, "
			"not %u",
			(int)r->type, n_parts[r->type], v->n);
	if (r->type == RPC_REQUEST)
		return read_call(r, &v->v[2], &v->v[3], e);
	if (r->type == RPC_NOTIFY)
		return read_call(r, &v->v[1], &v->v[2], e);
	r->error = &v->v[2];
	r->result = &v->v[3];
	return 0;
}

void
rpc_put_request(struct out *o, uint32_t id, const char *method)
{
	out_array(o, 4);
	out_int(o, RPC_REQUEST);
	out_uint(o, id);
	out_str(o, method);
}

void
rpc_put_result(struct out *o, uint32_t id)
{
	out_array(o, 4);
	out_int(o, RPC_RESPONSE);
	out_uint(o, id);
	out_nil(o);
}

void
rpc_put_error(struct out *o, uint32_t id, const struct err *e)
{
	bool named = e->arg[0] != '\0';
	size_t n = 0;

	while (e->text[n] != '\0')
		n++;
	out_array(o, 4);
	out_int(o, RPC_RESPONSE);
	out_uint(o, id);
	out_map(o, named ? 4 : 3);
	out_key_int(o, "code", e->code);
	out_key_str(o, "name", err_name(e->code));
	out_key(o, "message");
	out_text(o, e->text, n);
	if (named) {
		out_key(o, "argument");
		for (n = 0; e->arg[n] != '\0';)
			n++;
		out_text(o, e->arg, n);
	}
	out_end(o);
	out_nil(o);
	out_end(o);
}

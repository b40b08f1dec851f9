/* SPDX-License-Identifier: ISC */
#include "daemon/h.h"

#include "util/hash.h"

#include <string.h>

int
h_image_get(struct req *q, struct out *o, struct err *e)
{
	struct store_image x;
	char hex[65];
	uint32_t run;
	int rc = find_any_run(q, &run, e);

	if (rc == 0)
		rc = store_image(q->view, q->cat->run[run].cut,
			args_str(&q->args, "image"), &x, q->arena, e);
	if (rc < 0)
		return rc;
	hash_hex(x.sha256, sizeof(x.sha256), hex);
	put_head(o, q, 5);
	out_key_uint(o, "run", q->cat->run[run].number);
	out_key_str(o, "image", hex);
	out_key(o, "type");
	out_text(o, x.type, strlen(x.type));
	out_key_uint(o, "n_bytes", x.n_bytes);
	out_key(o, "bytes");
	out_bin(o, x.bytes, x.n_bytes);
	out_end(o);
	return 0;
}

/* SPDX-License-Identifier: ISC */
/* Which handler answers which row. A test holds it against the method table. */
#include "daemon/h.h"

#include <string.h>

#define ROW(name, handler) \
	{ \
		name, handler \
	}

static const struct {
	const char *name;
	handler_fn *fn;
} rows[] = {
	ROW("server.ping", h_server_ping),
	ROW("server.info", h_server_info),
	ROW("server.methods", h_server_methods),
	ROW("model.list", h_model_list),
	ROW("sae.list", h_sae_list),
	ROW("run.list", h_run_list),
	ROW("run.get", h_run_get),
	ROW("feature.get", h_feature_get),
	ROW("feature.many", h_feature_many),
	ROW("feature.list", h_feature_list),
	ROW("feature.examples", h_feature_examples),
	ROW("feature.neighbors", h_feature_neighbors),
	ROW("feature.cooccurrence", h_feature_cooccurrence),
	ROW("feature.splitting", h_feature_splitting),
	ROW("map.feature", h_map_feature),
	ROW("feature.vector", h_feature_vector),
	ROW("feature.documents", h_feature_documents),
	ROW("vector.neighbors", h_vector_neighbors),
	ROW("concept.neighbors", h_concept_neighbors),
	ROW("document.list", h_document_list),
	ROW("document.get", h_document_get),
	ROW("document.activations", h_document_activations),
	ROW("window.activations", h_window_activations),
	ROW("image.get", h_image_get),
	ROW("feature.activations", h_feature_activations),
	ROW("token.features", h_token_features),
	ROW("label.get", h_label_get),
	ROW("label.set", h_label_set),
	ROW("label.delete", h_label_delete),
	ROW("label.import", h_label_import),
	ROW("label.export", h_label_export),
	ROW("label.search", h_label_search),
	ROW("text.search", h_text_search),
};

handler_fn *
handler_of(size_t i)
{
	size_t n = sizeof(rows) / sizeof(rows[0]);

	if (i >= n || i >= method_n || strcmp(rows[i].name, method_table[i].name) != 0)
		return NULL;
	return rows[i].fn;
}

/* SPDX-License-Identifier: ISC */
/*
 * h: the handlers, one for each row of the method table, by its name.
 */
#ifndef DAEMON_H_H
#define DAEMON_H_H

#include "daemon/req.h"

handler_fn h_server_ping, h_server_info, h_server_methods;
handler_fn h_model_list, h_sae_list, h_run_list, h_run_get;
handler_fn h_feature_get, h_feature_many, h_feature_list, h_feature_examples,
	h_feature_neighbors, h_feature_cooccurrence, h_feature_splitting,
	h_feature_vector, h_feature_documents, h_feature_activations;
handler_fn h_map_feature;
handler_fn h_vector_neighbors;
handler_fn h_concept_neighbors;
handler_fn h_document_list, h_document_get, h_document_activations,
	h_window_activations;
handler_fn h_image_get;
handler_fn h_token_features;
handler_fn h_label_get, h_label_set, h_label_delete, h_label_import, h_label_export;
handler_fn h_label_search, h_text_search;

#endif

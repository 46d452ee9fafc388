/**
 * What transformers writes into the `config.json` of a text encoder and an encoder does not compute with: training,
 * generation, decoders, forms of output.
 */
export const idleInEncoders: readonly string[] = [
  ...['attention_dropout', 'classifier_dropout', 'dropout', 'dropout_rate', 'layerdrop', 'initializer_factor'],
  ...['initializer_range', 'gradient_checkpointing', 'problem_type', 'finetuning_task', 'id2label', 'label2id'],
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'sep_token_id', 'decoder_start_token_id', 'num_decoder_layers'],
  ...['is_decoder', 'is_encoder_decoder', 'add_cross_attention', 'cross_attention_hidden_size', 'use_cache'],
  ...['tie_encoder_decoder', 'tie_word_embeddings', 'scale_decoder_outputs', 'output_past', 'task_specific_params'],
  ...['output_attentions', 'output_hidden_states', 'return_dict', 'chunk_size_feed_forward', 'pruned_heads'],
  ...['n_positions', 'projection_dim', 'tokenizer_class', 'prefix', 'torchscript', 'use_bfloat16', 'tf_legacy_loss'],
  ...['scalable_attention', 'max_length', 'min_length', 'do_sample', 'early_stopping', 'num_beams', 'temperature'],
  ...['top_k', 'top_p', 'typical_p', 'repetition_penalty', 'length_penalty', 'no_repeat_ngram_size', 'bad_words_ids'],
  ...['encoder_no_repeat_ngram_size', 'num_return_sequences', 'output_scores', 'return_dict_in_generate'],
  ...['forced_bos_token_id', 'forced_eos_token_id', 'remove_invalid_values', 'exponential_decay_length_penalty'],
  ...['suppress_tokens', 'begin_suppress_tokens', 'num_beam_groups', 'diversity_penalty'],
];

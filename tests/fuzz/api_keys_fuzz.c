// Target: api_keys_parse, api_key_has_model.  What was taken keeps its bounds,
// and each key has a name and at least one model that it may ask for.
#include <stdlib.h>
#include <string.h>

#include "common/api_keys.h"
#include "tests/fuzz/fuzz.h"

static void
check(const struct api_key *key)
{
	if (api_key_check_name(key->name) != NULL ||
	    key->requests > API_KEY_LIMIT_MAX ||
	    key->per_minute > API_KEY_LIMIT_MAX ||
	    key->n_models > API_KEY_MODELS_MAX)
		abort();
	for (size_t i = 0; i < key->n_models; i++)
		if (api_key_check_model(key->models[i]) != NULL ||
		    !api_key_has_model(key, key->models[i]))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct api_keys keys;
	char error[256] = "";

	if (api_keys_parse(
		(const char *)data, size, &keys, error, sizeof(error)) < 0) {
		if (error[0] == '\0')
			abort();
		return 0;
	}
	if (keys.n > API_KEYS_MAX)
		abort();
	for (size_t i = 0; i < keys.n; i++)
		check(&keys.at[i]);
	api_keys_done(&keys);
	return 0;
}

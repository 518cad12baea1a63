// Speed of the outputs that build_metadata makes from all keys of a request.
#pragma once

namespace nsameta::bench {

void tables();

}  // namespace nsameta::bench

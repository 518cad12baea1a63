// The middle of repeated measurements, and how far apart they are.
#pragma once

#include <vector>

namespace nsameta::bench {

// Median and quartiles.
struct spread {
  double median = 0;
  double low = 0;
  double high = 0;
};

// Throws where there is no sample.
spread summarise(std::vector<double> samples);
double median(std::vector<double> samples);

}  // namespace nsameta::bench

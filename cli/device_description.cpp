#include "cli/device_description.h"

#include <fmt/format.h>

#include "cli/device_choice.h"
#include "cli/launch_timer.h"

namespace nsameta::cli {

std::string device_description::tuning_text() const {
  if (tuning.is_applied == 0) return "default tunables";
  return fmt::format("{} {} from {}", tuning.num_values, tuning.num_values == 1 ? "tunable" : "tunables", tuning.file);
}

void add_device_options(CLI::App* app, std::string* backend, std::string* device) {
  app->add_option("--backend", *backend, "Backend that runs")->type_name("auto|cpu|cuda|hip");
  app->add_option("--device", *device, "Memory of the tensors: cpu, cuda[:id] or rocm[:id]. Without\nit: the backend's")
      ->type_name("DEVICE");
}

nsameta_device chosen_device(const std::string& backend, const std::string& device) {
  return device.empty() ? default_device(backend) : parse_device(device);
}

device_description describe_device(const session& on) {
  device_description where;
  where.backend = on.backend();
  where.device = device_name(on.device());
  where.is_staged = on.is_staged();
  where.uses_graphs = launch_timer::uses_graphs(on);
  const int32_t device_idx = on.is_staged() ? 0 : on.device().id;
  for (int32_t i = 0; i < nsameta_num_backends(); ++i) {
    nsameta_backend_info backend{};
    throw_on_failure(nsameta_get_backend_info(i, &backend));
    if (where.backend != backend.name) continue;
    nsameta_device_info info{};
    throw_on_failure(nsameta_get_device_info(i, device_idx, &info));
    where.name = info.name;
    where.arch = info.arch;
    where.num_multiprocessors = info.num_multiprocessors;
    throw_on_failure(nsameta_get_tuning(i, device_idx, &where.tuning));
  }
  return where;
}

nlohmann::ordered_json to_json(const device_description& where) {
  nlohmann::ordered_json out = {
      {"version", nsameta_version_string()},
      {"backend", where.backend},
      {"memory", where.device},
      {"device", {{"name", where.name}, {"arch", where.arch}, {"num_multiprocessors", where.num_multiprocessors}}},
      {"staged", where.is_staged},
      {"method", where.uses_graphs ? "graph" : "calls"}};
  if (where.tuning.is_applied != 0) {
    out["tuning"] = {{"file", where.tuning.file}, {"num_values", where.tuning.num_values}};
  } else {
    out["tuning"] = nullptr;
  }
  return out;
}

}  // namespace nsameta::cli

// What options mean together: rules beyond one option's type and bounds.
#pragma once

#include "config.hpp"

#include <functional>

namespace confab {

/// Takes the option's name and what is wrong with it.
using complaint = std::function<void(std::string_view name, const std::string& why)>;

/// Complains about each rule that is broken; `localhost` becomes its address.
void check_meaning(config& values, const complaint& complain);

/// The text of a file of 1 MiB at most, or nothing: `why` says why not.
[[nodiscard]] std::optional<std::string> read_file(const std::filesystem::path& path,
                                                   std::string& why);

} // namespace confab

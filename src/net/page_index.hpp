// The page that `/` serves; its bytes come from web/index.html at build time.
#pragma once

#include <string_view>

namespace confab::net {

extern const std::string_view page_index;

} // namespace confab::net

// What `/`, `/openapi.json` and `/asyncapi.json` serve; the bytes come from web/ at build time.
#pragma once

#include <string_view>

namespace confab::net {

extern const std::string_view page_index;
extern const std::string_view openapi_document;
extern const std::string_view asyncapi_document;

} // namespace confab::net

# Turns a file into a .cpp that holds its bytes:
#   cmake -D INPUT=web/index.html -D OUTPUT=page_index.cpp -D NAME=page_index -P embed.cmake
# defines `extern const std::string_view confab::net::NAME`.
file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
# A line of a megabyte is hard on compilers and editors.
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
       bytes "${bytes}")
file(
  WRITE "${OUTPUT}"
  "#include <string_view>\n\n"
  "namespace confab::net {\n\n"
  "namespace {\n"
  "constexpr unsigned char ${NAME}_bytes[] = {\n${bytes}};\n"
  "} // namespace\n\n"
  "extern const std::string_view ${NAME};\n"
  "const std::string_view ${NAME}{reinterpret_cast<const char*>(${NAME}_bytes), sizeof ${NAME}_bytes};\n\n"
  "} // namespace confab::net\n")

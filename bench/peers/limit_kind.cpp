#include "net/load/confab_dialect.hpp"
#include "peers/peers.hpp"

namespace confab::peers {

namespace {

/// The bare server speaks as much of Confab's protocol as the load clients need: the frames that
/// are compared are of one length.
class limit_kind : public net::load::server_kind {
public:
  [[nodiscard]] const traits& about() const noexcept override { return about_; }
  [[nodiscard]] std::unique_ptr<net::load::dialect> speak() const override {
    return net::load::confab_server().speak();
  }

private:
  traits about_{.name = "limit",
                .guarantees =
                    "none beyond what the machine does: with --log a receipt and an entry "
                    "come after fdatasync, without it they come at once",
                .resumes = true,
                .receipts = true,
                .seqs = true};
};

} // namespace

std::vector<kind_ptr> limit_kinds() {
  return {std::make_shared<limit_kind>()};
}

} // namespace confab::peers

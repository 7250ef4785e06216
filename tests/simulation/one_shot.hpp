// A client that asks one thing and gets one answer, like a plain HTTP request; the answer is
// checked.
#pragma once

#include "net/hub.hpp"
#include "simulation/log_truth.hpp"

namespace confab::test {

class one_shot final : public net::session {
public:
  enum class kind { close, remove, info, page };

  one_shot(net::hub& owner, log_truth& truth, kind what, std::string name)
    : owner_{owner}, truth_{truth}, what_{what}, name_{std::move(name)}, asked_{++truth.moment} {}

  void take(net::event& x) override;
  std::int64_t due(std::int64_t) override { return 0; }
  void drain(std::int64_t) override {}
  void cut() override {
    port.reset();
    owner_.remove(id);
  }

  /// What was wrong; empty: nothing. With `final`, an answer must be there.
  [[nodiscard]] std::string fault(bool final) const;

  std::unique_ptr<net::client_port> port;

private:
  void check_page(const net::page_event& x);
  void wrong(const std::string& what) { fault_ = "one shot, " + name_ + ": " + what; }

  net::hub& owner_;
  log_truth& truth_;
  const kind what_;
  const std::string name_;
  const std::uint64_t asked_;
  int answers_ = 0;
  std::string fault_;
};

} // namespace confab::test

#include "store/sqlite_store.hpp"

#include "store/directory_lock.hpp"
#include "store/joining_vfs.hpp"
#include "store/sqlite_fence.hpp"
#include "store/sqlite_reader.hpp"
#include "store/sqlite_schema.hpp"
#include "store/sqlite_writer.hpp"

#include <fstream>
#include <optional>

namespace confab::store {

namespace {

std::string machine_boot_id() {
  std::ifstream in{"/proc/sys/kernel/random/boot_id"};
  std::string text;
  std::getline(in, text);
  return text;
}

class sqlite_store final : public log_store {
public:
  sqlite_store(const options& how, const sqlite_probes& probes, directory_lock lock)
    : how_{how}, lock_{std::move(lock)}, where_{how.directory / database_file, how.vfs, true,
                                                probes.length_max} {
    auto writing = where_;
    // Another synchronous does not sync each commit, which tells where it ends.
    if (auto vfs = joining_vfs(how.vfs); how.synchronous == options::sync::full && !vfs.empty())
      writing.vfs = vfs;
    db_.emplace(writing);
    require_known_schema(*db_);
    configure_writer(*db_, how_.synchronous);
    migrate(*db_);
    generation_ = begin_run(*db_, how_.synchronous,
                            probes.boot_id.empty() ? machine_boot_id() : probes.boot_id);
    fence_.emplace(*db_, probes.fence);
    prepared_ = std::make_unique<sqlite_writer>(*db_, *fence_, how_, generation_);
    where_.create = false;
  }

  std::unique_ptr<log_writer> writer() override {
    // The first one was prepared while opening could still fail.
    if (prepared_)
      return std::move(prepared_);
    return std::make_unique<sqlite_writer>(*db_, *fence_, how_, generation_);
  }

  model::result<std::unique_ptr<log_reader>> reader() override try {
    return std::unique_ptr<log_reader>{std::make_unique<sqlite_reader>(how_, where_, generation_)};
  } catch (const failure& why) {
    return why.as_read_error();
  }

  std::string description() const override {
    return "SQLite in " + how_.directory.string() + " (schema version " +
           std::to_string(schema_version) + ", generation " + std::to_string(generation_) +
           ", synchronous " + to_string(how_.synchronous) + ")";
  }

  model::status close() override try {
    if (!db_)
      return model::nothing{};
    if (auto refused = fence_->ready())
      return *refused;
    prepared_.reset();
    fence_.reset();
    end_run(*db_);
    db_.reset();
    return model::nothing{};
  } catch (const failure& why) {
    return model::error{model::code::store_failed, why.text()};
  }

private:
  options how_;
  directory_lock lock_;
  database_options where_;
  std::optional<database> db_;
  std::optional<commit_fence> fence_;
  std::unique_ptr<sqlite_writer> prepared_;
  std::int64_t generation_ = 1;
};

} // namespace

model::result<std::unique_ptr<log_store>> open_sqlite(const options& how,
                                                      const sqlite_probes& probes) {
  auto lock = directory_lock::take(how.directory, true);
  if (!lock)
    return lock.why();
  auto place = "store.directory " + how.directory.string() + ": ";
  try {
    return std::unique_ptr<log_store>{
        std::make_unique<sqlite_store>(how, probes, std::move(*lock))};
  } catch (const refusal& why) {
    return model::error{model::code::store_failed, place + why.what()};
  } catch (const failure& why) {
    auto advice =
        why.damaged() ? "; the file is damaged: run `confab check`, and restore a backup" : "";
    return model::error{model::code::store_failed, place + why.text() + advice};
  }
}

} // namespace confab::store

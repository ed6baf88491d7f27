// SPDX-License-Identifier: Apache-2.0
// Builds Settings from a file's text, environment variables and flags. A flag beats the
// environment, the environment beats the file, the file beats the default, in whatever order they
// are loaded; among equals the later wins. Nothing is read from outside here. Not thread-safe.
//
// Every error names place and key and says what is allowed; all errors of one source are told at
// once, one per line:
//   lariat.toml:12: storage.blok_cache_bytes: unknown key (did you mean storage.block_cache_bytes?)
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/settings.h"

namespace lariat::config {

// Where a value came from; the greater one wins.
enum class Source : uint8_t { kDefault, kFile, kEnvironment, kFlag };

class SettingsBuilder {
 public:
  // `filename` is only for messages.
  base::Status LoadToml(std::string_view text, std::string_view filename);

  // Entries "NAME=value". LARIAT_SECTION__KEY sets section.key; an unknown name of that form is an
  // error. Names without the double underscore (LARIAT_NODE, PATH) belong to others: ignored.
  base::Status LoadEnvironment(std::span<const std::string> entries);

  // A flag: "section.key=value", or key and value. `flag` is only for messages, e.g. "--http".
  base::Status Set(std::string_view assignment, std::string_view flag);
  base::Status Set(std::string_view key, std::string_view value, std::string_view flag);

  // Fails with the first error if any source was refused.
  base::Result<Settings> Build() const;

  struct Entry {
    Value value;
    Source source;
    std::string origin;  // "default", "lariat.toml:12", "environment", "flag --http"
  };
  // The value that holds at present.
  Entry Lookup(const SettingInfo& info) const;

 private:
  void Take(const SettingInfo& info, Entry entry);
  base::Status SetFlag(std::string_view key, std::string_view value, std::string_view flag);
  base::Status LoadVariable(std::string_view name, std::string_view value);
  base::Status Remember(base::Status status);

  std::map<const SettingInfo*, Entry> entries_;  // without the defaults
  base::Status first_error_;
};

}  // namespace lariat::config

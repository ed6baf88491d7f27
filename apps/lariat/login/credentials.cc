// SPDX-License-Identifier: Apache-2.0
#include "apps/lariat/login/credentials.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "apps/lariat/terminal/output.h"
#include "base/base64.h"

namespace lariat::cli {

using base::Code;
using base::Fail;

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr size_t kSecretBytesMax = 4096;

std::string EnvironmentText(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

// Empty: there is no such directory.
fs::path TokenPath() {
  const std::string own = EnvironmentText("XDG_CONFIG_HOME");
  if (!own.empty()) return fs::path(own) / "lariat" / "token";
  const std::string home = EnvironmentText("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".config" / "lariat" / "token";
}

base::Status CheckPrivate(const fs::path& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return {};  // reading says what is wrong
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
  return Fail(
      Code::kInvalidArgument,
      fmt::format("{0} holds a secret and others may read it: chmod 600 {0}", path.string()));
}

int64_t NowInMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Nothing: nobody has logged in, or it has expired.
base::Result<std::optional<KeptToken>> ReadKeptToken() {
  const fs::path path = TokenPath();
  std::ifstream file(path);
  if (path.empty() || !file) return std::optional<KeptToken>();
  if (auto status = CheckPrivate(path); !status) return Fail(status.error());
  std::stringstream text;
  text << file.rdbuf();
  json::error_code problem;
  const json::value value = json::parse(text.str(), problem);
  const json::object* object = problem ? nullptr : value.if_object();
  const auto at = [object](const char* name) {
    return object == nullptr ? nullptr : object->if_contains(name);
  };
  const json::value* user = at("user");
  const json::value* token = at("token");
  const json::value* expires = at("expires");
  const bool whole = user != nullptr && user->is_string() && token != nullptr &&
                     token->is_string() && expires != nullptr && expires->is_int64();
  if (!whole) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is damaged: remove it and log in again", path.string()));
  }
  if (expires->get_int64() <= NowInMs()) return std::optional<KeptToken>();
  return std::optional(KeptToken{std::string(user->get_string()), std::string(token->get_string()),
                                 expires->get_int64()});
}

// The terminal shows nothing of what is typed meanwhile.
class Unseen {
 public:
  Unseen() {
    seen_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (!seen_) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  ~Unseen() {
    if (seen_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  bool at_terminal() const { return seen_; }

 private:
  termios before_{};
  bool seen_ = false;
};

std::string WithoutLineEnd(std::string line) {
  while (line.ends_with('\r') || line.ends_with('\n')) line.pop_back();
  return line;
}

}  // namespace

base::Result<std::string> ReadPassword(const std::string& file, const std::string& user) {
  std::string line;
  if (!file.empty()) {
    std::ifstream in(file);
    if (!in || !std::getline(in, line)) {
      return Fail(Code::kInvalidArgument, fmt::format("no password can be read from {}", file));
    }
    if (auto status = CheckPrivate(file); !status) return Fail(status.error());
    return WithoutLineEnd(std::move(line));
  }
  const Unseen unseen;
  if (unseen.at_terminal()) Tell("Password of {}: ", user);
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (unseen.at_terminal()) Tell("\n");
  if (!read || line.size() > kSecretBytesMax) {
    return Fail(Code::kInvalidArgument, "no password: give --password-file, or a line of input");
  }
  return WithoutLineEnd(std::move(line));
}

base::Result<std::string> Authorization(const std::string& user) {
  auto kept = ReadKeptToken();
  if (!user.empty()) {
    if (kept && *kept && (*kept)->user == user) return "Bearer " + (*kept)->token;
    std::string password = EnvironmentText("LARIAT_PASSWORD");
    if (password.empty() && ::isatty(STDIN_FILENO) == 1) {
      auto typed = ReadPassword("", user);
      if (!typed) return typed;
      password = std::move(*typed);
    }
    if (password.empty()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("no password for user '{}': set LARIAT_PASSWORD, or log in once with "
                              "'lariat login --user {}'",
                              user, user));
    }
    return "Basic " + base::Base64Encode(user + ":" + password);
  }
  if (const std::string token = EnvironmentText("LARIAT_TOKEN"); !token.empty()) {
    return "Bearer " + token;
  }
  if (!kept) return Fail(kept.error());
  return *kept ? "Bearer " + (*kept)->token : std::string();
}

base::Result<std::string> KeepToken(const KeptToken& token) {
  const fs::path path = TokenPath();
  if (path.empty()) {
    return Fail(Code::kInvalidArgument, "neither XDG_CONFIG_HOME nor HOME is set: no place for it");
  }
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  const json::object content = {
      {"user", token.user}, {"token", token.token}, {"expires", token.expires_ms}};
  // Private from the start, whatever the umask: written beside it and put in its place.
  const std::string beside = path.string() + "." + std::to_string(::getpid());
  const mode_t before = ::umask(0077);
  bool written = false;
  {
    std::ofstream out(beside, std::ios::trunc);
    out << json::serialize(content) << '\n';
    written = static_cast<bool>(out.flush());
  }
  ::umask(before);
  if (written) fs::rename(beside, path, error);
  if (written && !error) return path.string();
  return Fail(Code::kIo, fmt::format("{} cannot be written", path.string()));
}

}  // namespace lariat::cli

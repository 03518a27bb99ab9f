// What main.cc uses of MindSpore Lite's C++ API, as documented: a stand-in to compile by.
#pragma once
#include <string>
namespace mindspore {
enum StatusCode { kSuccess = 0, kFailed = 1 };
class Status {
 public:
  Status(StatusCode code = kSuccess) : code_(code) {}
  bool operator!=(StatusCode other) const { return code_ != other; }
  std::string ToString() const { return "status " + std::to_string(code_); }

 private:
  StatusCode code_;
};
}  // namespace mindspore

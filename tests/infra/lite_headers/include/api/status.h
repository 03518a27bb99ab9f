// What main.cc uses of MindSpore Lite's C++ API: a stand-in to compile by. Names, bases,
// arguments and const are those of the documented declarations, checked on 2026-11-26
//   https://www.mindspore.cn/lite/docs/en/r2.7.0/mindir/runtime_cpp.html
//   https://mindspore.cn/lite/api/zh-CN/r2.3.0rc2/generate/classmindspore_Model.html
//   github.com/mindspore-ai/mindspore-lite: include/api/{context,model,status}.h
//   github.com/mindspore-ai/mindspore: include/api/types.h
// What they do is made up here; members that main.cc does not use are left out.
#pragma once
#include <cstdint>
#include <string>
namespace mindspore {
enum StatusCode : uint32_t { kSuccess = 0, kCoreFailed = 0x1, kLiteError = 0xFFFFFFFF };
class Status {
 public:
  Status() = default;
  Status(enum StatusCode status_code, const std::string &status_msg = "")
      : code_(status_code), message_(status_msg) {}
  enum StatusCode StatusCode() const { return code_; }
  std::string ToString() const { return message_; }
  bool operator==(const Status &other) const { return code_ == other.code_; }
  bool operator==(enum StatusCode other_code) const { return code_ == other_code; }
  bool operator!=(const Status &other) const { return code_ != other.code_; }
  bool operator!=(enum StatusCode other_code) const { return code_ != other_code; }
  explicit operator bool() const { return code_ == kSuccess; }
  explicit operator int() const { return static_cast<int>(code_); }

 private:
  enum StatusCode code_ = kSuccess;
  std::string message_;
};
}  // namespace mindspore

// See status.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>
namespace mindspore {
enum ModelType : uint32_t { kMindIR = 0, kUnknownType = 0xFFFFFFFF };
class MSTensor {
 public:
  class Impl {
   public:
    std::vector<char> data;
  };
  MSTensor() = default;
  explicit MSTensor(const std::shared_ptr<Impl> &impl) : impl_(impl) {}
  explicit MSTensor(std::nullptr_t) {}
  std::shared_ptr<const void> Data() const { return {impl_, impl_->data.data()}; }
  void *MutableData() { return impl_->data.empty() ? nullptr : impl_->data.data(); }
  size_t DataSize() const { return impl_->data.size(); }

 private:
  std::shared_ptr<Impl> impl_;
};
struct MSCallBackParam {
  std::string node_name;
  std::string node_type;
};
using MSKernelCallBack =
    std::function<bool(const std::vector<MSTensor> &inputs,
                       const std::vector<MSTensor> &outputs, const MSCallBackParam &opInfo)>;
}  // namespace mindspore

// See status.h.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>
namespace mindspore {
enum ModelType { kMindIR = 0 };
class MSTensor {
 public:
  explicit MSTensor(size_t size) : data_(std::make_shared<std::vector<char>>(size)) {}
  void *MutableData() { return data_->data(); }
  size_t DataSize() const { return data_->size(); }

 private:
  std::shared_ptr<std::vector<char>> data_;
};
}  // namespace mindspore

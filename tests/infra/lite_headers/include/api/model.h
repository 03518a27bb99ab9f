// See status.h. This network takes 8 bytes and gives them back.
#pragma once
#include <cstring>
#include <memory>
#include <string>
#include <vector>
#include "include/api/context.h"
#include "include/api/status.h"
#include "include/api/types.h"
namespace mindspore {
class Model {
 public:
  Status Build(const std::string &path, ModelType, const std::shared_ptr<Context> &c) {
    return path.empty() || c->MutableDeviceInfo().empty() ? kFailed : kSuccess;
  }
  std::vector<MSTensor> GetInputs() { return inputs_; }
  Status Predict(const std::vector<MSTensor> &inputs, std::vector<MSTensor> *outputs) {
    outputs->assign(1, MSTensor(8));
    MSTensor input = inputs[0];
    std::memcpy((*outputs)[0].MutableData(), input.MutableData(), 8);
    return kSuccess;
  }

 private:
  std::vector<MSTensor> inputs_{MSTensor(8)};
};
}  // namespace mindspore

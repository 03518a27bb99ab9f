// See status.h. This network takes 8 bytes and gives them back; one called nan.mindir
// fails to load, one called stop.mindir to run.
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
  Model() = default;
  ~Model() = default;
  Model(const Model &) = delete;
  void operator=(const Model &) = delete;
  Status Build(const std::string &model_path, ModelType model_type,
               const std::shared_ptr<Context> &model_context = nullptr) {
    if (model_type != kMindIR || model_context == nullptr ||
        model_context->MutableDeviceInfo().size() != 1 ||
        model_context->MutableDeviceInfo()[0]->GetDeviceType() != kAscend ||
        model_path == "nan.mindir") {
      return Status(kLiteError, "cannot be built");
    }
    name_ = model_path;
    return kSuccess;
  }
  std::vector<MSTensor> GetInputs() { return inputs_; }
  Status Predict(const std::vector<MSTensor> &inputs, std::vector<MSTensor> *outputs,
                 const MSKernelCallBack &before = nullptr,
                 const MSKernelCallBack &after = nullptr) {
    if (before || after || name_ == "stop.mindir") return Status(kCoreFailed, "no device");
    outputs->assign(1, Tensor());
    MSTensor input = inputs[0];
    std::memcpy((*outputs)[0].MutableData(), input.MutableData(), 8);
    return kSuccess;
  }

 private:
  static MSTensor Tensor() {
    auto impl = std::make_shared<MSTensor::Impl>();
    impl->data.resize(8);
    return MSTensor(impl);
  }
  std::vector<MSTensor> inputs_{Tensor()};
  std::string name_;
};
}  // namespace mindspore

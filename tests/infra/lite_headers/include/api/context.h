// See status.h.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>
namespace mindspore {
class DeviceInfoContext {
 public:
  virtual ~DeviceInfoContext() = default;
};
class AscendDeviceInfo : public DeviceInfoContext {
 public:
  void SetDeviceID(uint32_t device_id) { device_id_ = device_id; }

 private:
  uint32_t device_id_ = 0;
};
class Context {
 public:
  std::vector<std::shared_ptr<DeviceInfoContext>> &MutableDeviceInfo() { return infos_; }

 private:
  std::vector<std::shared_ptr<DeviceInfoContext>> infos_;
};
}  // namespace mindspore

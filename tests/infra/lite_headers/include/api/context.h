// See status.h.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>
#include "include/api/types.h"
namespace mindspore {
enum DeviceType { kCPU = 0, kGPU, kKirinNPU, kAscend, kInvalidDeviceType = 100 };
class DeviceInfoContext : public std::enable_shared_from_this<DeviceInfoContext> {
 public:
  virtual ~DeviceInfoContext() = default;
  virtual enum DeviceType GetDeviceType() const = 0;
};
class AscendDeviceInfo : public DeviceInfoContext {
 public:
  enum DeviceType GetDeviceType() const override { return DeviceType::kAscend; }
  void SetDeviceID(uint32_t device_id) { device_id_ = device_id; }
  uint32_t GetDeviceID() const { return device_id_; }

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

// Runs a network over the folder of `clipmill device preprocess` on an Ascend 310.
//
//   clipmill310 NETWORK.mindir CLIPS RESULTS [DEVICE_ID]
//
// Reads CLIPS/frames/frames{i}.bin, one call each after a single load, and writes
// RESULTS/result_Files/frames{i}_{output}.bin and the milliseconds of each call to
// RESULTS/time_Result/test_perform_static.txt, as `clipmill device run` does.
// Uses MindSpore Lite's C++ API as documented for 2.7 (runtime_cpp and the pages of its
// classes); packages after it have the same headers in include/cxx_api. Compiled in a test
// by stand-in headers with the documented declarations; never yet run on a device.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#if __has_include("include/cxx_api/model.h")
#include "include/cxx_api/context.h"
#include "include/cxx_api/model.h"
#include "include/cxx_api/types.h"
#else
#include "include/api/context.h"
#include "include/api/model.h"
#include "include/api/status.h"
#include "include/api/types.h"
#endif

namespace fs = std::filesystem;

namespace {

void Check(const mindspore::Status &status, const std::string &what) {
  if (status != mindspore::kSuccess) {
    throw std::runtime_error(what + " failed: " + status.ToString());
  }
}

std::vector<char> Read(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void Write(const fs::path &path, const void *data, size_t num_bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char *>(data), static_cast<std::streamsize>(num_bytes));
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

void Load(const std::string &network, uint32_t device_id, mindspore::Model *model) {
  auto context = std::make_shared<mindspore::Context>();
  auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
  ascend->SetDeviceID(device_id);
  context->MutableDeviceInfo().push_back(ascend);
  Check(model->Build(network, mindspore::kMindIR, context), "loading " + network);
  if (model->GetInputs().size() != 1) {
    throw std::runtime_error(network + " must have one input");
  }
}

// Returns the milliseconds of the call alone.
double Run(mindspore::Model *model, const fs::path &frames, int number,
           const fs::path &results) {
  std::vector<mindspore::MSTensor> inputs = model->GetInputs();
  const std::vector<char> content = Read(frames);
  if (content.size() != inputs[0].DataSize()) {
    throw std::runtime_error(frames.string() + " has " + std::to_string(content.size()) +
                             " bytes, the network takes " +
                             std::to_string(inputs[0].DataSize()));
  }
  void *memory = inputs[0].MutableData();
  if (memory == nullptr) throw std::runtime_error("the network's input has no memory");
  std::memcpy(memory, content.data(), content.size());
  std::vector<mindspore::MSTensor> outputs;
  const auto began = std::chrono::steady_clock::now();
  Check(model->Predict(inputs, &outputs), "running " + frames.string());
  const std::chrono::duration<double, std::milli> taken =
      std::chrono::steady_clock::now() - began;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string name =
        "frames" + std::to_string(number) + "_" + std::to_string(i) + ".bin";
    const std::shared_ptr<const void> logits = outputs[i].Data();
    if (logits == nullptr) throw std::runtime_error("an output has no values");
    Write(results / "result_Files" / name, logits.get(), outputs[i].DataSize());
  }
  return taken.count();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 4 || argc > 5) {
    std::cerr << "usage: clipmill310 NETWORK.mindir CLIPS RESULTS [DEVICE_ID]\n";
    return 2;
  }
  try {
    const fs::path clips(argv[2]), results(argv[3]);
    fs::create_directories(results / "result_Files");
    fs::create_directories(results / "time_Result");
    mindspore::Model model;
    const int device_id = argc == 5 ? std::atoi(argv[4]) : 0;
    Load(argv[1], static_cast<uint32_t>(device_id), &model);
    std::ofstream times(results / "time_Result" / "test_perform_static.txt");
    int number = 0;
    for (;; ++number) {
      const std::string name = "frames" + std::to_string(number) + ".bin";
      const fs::path frames = clips / "frames" / name;
      if (!fs::exists(frames)) break;
      times << name << " " << Run(&model, frames, number, results) << "\n";
    }
    times.close();
    if (number == 0 || !times) throw std::runtime_error("no clips, or no room to write");
    std::cout << "{\"num_clips\": " << number << "}\n";
  } catch (const std::exception &error) {
    std::cerr << "clipmill310 failed: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

// Loads a SavedModel as TensorFlow Serving does, runs one signature on a file, prints its outputs.
//
//   load_saved_model SAVED_MODEL SIGNATURE FILE
//
// Each line is an output's name, its number of values, their sum and their largest magnitude.

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/public/session.h"

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  tensorflow::SavedModelBundle bundle;
  auto status = tensorflow::LoadSavedModel(tensorflow::SessionOptions(), tensorflow::RunOptions(),
                                           argv[1], {"serve"}, &bundle);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    return 1;
  }
  const auto& signature = bundle.meta_graph_def.signature_def().at(argv[2]);
  std::ifstream file(argv[3], std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  tensorflow::Tensor input(tensorflow::DT_STRING, tensorflow::TensorShape({1}));
  input.flat<tensorflow::tstring>()(0) = bytes;
  std::vector<std::string> keys, names;
  for (const auto& [key, info] : signature.outputs()) {
    keys.push_back(key);
    names.push_back(info.name());
  }
  std::vector<tensorflow::Tensor> outputs;
  status = bundle.session->Run({{signature.inputs().at("image_bytes").name(), input}}, names, {},
                               &outputs);
  if (!status.ok()) {
    std::cerr << status.ToString() << std::endl;
    return 1;
  }
  for (size_t at = 0; at < outputs.size(); ++at) {
    const auto values = outputs[at].flat<float>();
    double sum = 0, largest = 0;
    for (long index = 0; index < values.size(); ++index) {
      sum += values(index);
      largest = std::max(largest, std::abs(static_cast<double>(values(index))));
    }
    std::printf("%s %ld %.9g %.9g\n", keys[at].c_str(), static_cast<long>(values.size()), sum,
                largest);
  }
  return 0;
}

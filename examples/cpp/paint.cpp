// Paints a picture with an objective that stylectl exported, by Adam, with ONNX Runtime alone.
//
//   stylectl export --objective photo.jpg painting.jpg --size 256 --scales 1 -o step.onnx
//   paint step.onnx step.start.f32 out.ppm 300
//
// START is the file that was written beside the model, or an image as a binary PPM file
// (`convert photo.jpg -resize 256x256 photo.ppm`). A model of dynamic size takes a PPM file, which is
// its content image as well.

#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

struct Image {
  int64_t height = 0, width = 0;
  std::vector<float> values;  // (3, height, width): all red, then all green, then all blue, in [0, 1]
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::vector<char> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Image read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int64_t width = 0, height = 0, largest = 0;
  if (!(file >> magic >> width >> height >> largest) || magic != "P6" || largest != 255)
    throw std::runtime_error(path + ": not a binary PPM file of 8 bits without comments");
  file.get();  // the line break after the header
  std::vector<unsigned char> bytes(3 * height * width);
  if (!file.read(reinterpret_cast<char*>(bytes.data()), bytes.size()))
    throw std::runtime_error(path + ": ends early");
  Image image{height, width, std::vector<float>(bytes.size())};
  for (int64_t pixel = 0; pixel < height * width; ++pixel)
    for (int64_t channel = 0; channel < 3; ++channel)
      image.values[channel * height * width + pixel] = bytes[3 * pixel + channel] / 255.0f;
  return image;
}

void write_ppm(const std::string& path, const Image& image) {
  std::vector<char> bytes(image.values.size());
  const int64_t pixels = image.height * image.width;
  for (int64_t pixel = 0; pixel < pixels; ++pixel)
    for (int64_t channel = 0; channel < 3; ++channel) {
      // The result is clamped once, here: the optimizer's image may leave [0, 1].
      const float value = std::clamp(image.values[channel * pixels + pixel], 0.0f, 1.0f);
      bytes[3 * pixel + channel] = static_cast<char>(std::lround(255 * value));
    }
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << image.width << " " << image.height << "\n255\n";
  if (!file.write(bytes.data(), bytes.size())) throw std::runtime_error(path + ": cannot be written");
}

// The model: from the pixels to the loss and its gradient.
class Objective {
 public:
  Objective(Ort::Session& session, const std::string& start) : session_(session) {
    const auto dims = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
    if (ends_with(start, ".ppm")) {
      content_ = read_ppm(start);
    } else {
      if (dims[2] < 0) throw std::runtime_error("a model of dynamic size starts from a PPM file");
      const std::vector<char> bytes = read_file(start);
      content_ = {dims[2], dims[3], std::vector<float>(bytes.size() / sizeof(float))};
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(content_.values.data()));
    }
    shape_ = {1, 3, content_.height, content_.width};
    const bool fits = dims[2] < 0 || (dims[2] == shape_[2] && dims[3] == shape_[3]);
    if (!fits || content_.values.size() != static_cast<size_t>(3 * shape_[2] * shape_[3]))
      throw std::runtime_error(start + ": not of the model's size, " + std::to_string(dims[3]) + "x" +
                               std::to_string(dims[2]));
  }

  const Image& start() const { return content_; }

  // Returns the loss; `gradient` gets its derivative by each value of the image.
  float evaluate(std::vector<float>& image, std::vector<float>& gradient) {
    const char* inputs[] = {"image", "content"};
    const char* outputs[] = {"loss", "gradient"};
    std::vector<Ort::Value> tensors;
    for (std::vector<float>* values : {&image, &content_.values})
      tensors.push_back(Ort::Value::CreateTensor<float>(memory_, values->data(), values->size(),
                                                        shape_.data(), shape_.size()));
    const size_t count = session_.GetInputCount();  // 2 where the content image is an input
    auto results = session_.Run(Ort::RunOptions{}, inputs, tensors.data(), count, outputs, 2);
    const float* values = results[1].GetTensorData<float>();
    gradient.assign(values, values + image.size());
    return *results[0].GetTensorData<float>();
  }

 private:
  Ort::Session& session_;
  Ort::MemoryInfo memory_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  Image content_;
  std::array<int64_t, 4> shape_{};
};

// Adam as stylectl's optimizer `adam` has it: the result is a running average of the images.
std::vector<float> minimise(Objective& objective, int steps) {
  const double beta1 = 0.9, beta2 = 0.99, step_size = 0.02, averaging = 0.99;
  std::vector<float> image = objective.start().values, gradient;
  std::vector<float> first(image.size()), second(image.size()), average(image.size());
  for (int step = 1; step <= steps; ++step) {
    const float loss = objective.evaluate(image, gradient);
    if (step == 1 || step % 25 == 0) std::printf("step %d: loss %.5g\n", step, loss);
    const double scale1 = 1 - std::pow(beta1, step), scale2 = 1 - std::pow(beta2, step);
    for (size_t i = 0; i < image.size(); ++i) {
      first[i] += (1 - beta1) * (gradient[i] - first[i]);
      second[i] += (1 - beta2) * (gradient[i] * gradient[i] - second[i]);
      image[i] -= step_size / scale1 * first[i] / (std::sqrt(second[i] / scale2) + 1e-8);
      average[i] += (1 - averaging) * (image[i] - average[i]);
    }
  }
  for (float& value : average) value /= 1 - std::pow(averaging, steps);
  return average;
}

int main(int count, char** arguments) try {
  if (count != 5) {
    std::fprintf(stderr, "usage: %s MODEL.onnx START.f32|START.ppm OUTPUT.ppm STEPS\n", arguments[0]);
    return 2;
  }
  const int steps = std::max(1, std::atoi(arguments[4]));
  Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "paint");
  environment.DisableTelemetryEvents();
  const std::vector<char> model = read_file(arguments[1]);
  Ort::Session session(environment, model.data(), model.size(), Ort::SessionOptions{});
  Objective objective(session, arguments[2]);
  Image result = objective.start();
  result.values = minimise(objective, steps);
  write_ppm(arguments[3], result);
  std::printf("wrote %s\n", arguments[3]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

#include "weights/lora/apply.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "weights/lora/test_lora.h"
#include "weights/safetensors.h"

namespace sdxl::lora {
namespace {

using namespace test;

const std::string kGoldens = SDXL_TEST_DATA "/lora/";

std::map<std::string, std::vector<float>> floats(const std::string& path) {
  std::map<std::string, std::vector<float>> all;
  for (const weights::SafetensorsEntry& entry : weights::open_safetensors(path).entries) {
    std::vector<float>& values = all[entry.name];
    for (size_t i = 0; i < entry.data.size() / 4; ++i) values.push_back(value_at(entry.data.data(), DType::f32, int64_t(i)));
  }
  return all;
}
const std::map<std::string, std::vector<float>>& bases() {
  static const auto all = floats(kGoldens + "base.safetensors");
  return all;
}

std::string id(const LoraDelta& delta) { return delta.component + "." + delta.parameter; }

std::vector<float> merged(const LoraFile& lora, const std::string& parameter, float strength) {
  const std::vector<float>& base = bases().at(parameter);
  std::vector<float> weight = base;
  for (const LoraDelta& delta : lora.deltas)
    if (id(delta) == parameter) add_delta(delta, strength, reads_base(delta) ? base.data() : nullptr, weight.data());
  return weight;
}

double largest(const std::vector<float>& values) {
  double top = 0;
  for (const float v : values) top = std::max(top, double(std::abs(v)));
  return top;
}
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(double(a[i]) - b[i]);
    if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
  }
  return worst;
}

// Every weight that the reference gives, and no other parameter changed. Sums of 200 products of fp32 in another order than torch's differ
// by about 1e-6 of the largest; 5e-5 is what any use of them can tell, and a wrong index is 1e-2 at least, as the goldens' maker checks.
void check_golden(const std::string& name, const std::string& path, const std::vector<std::string>& unmatched = {}) {
  const LoraFile lora = read_lora(path, tiny());
  const auto wanted = floats(kGoldens + name + ".merged.safetensors");
  const auto report = [&](bool ok, const std::string& what) { sdxl::test::check(ok, "lora golden", 0, name + ": " + what); };
  report(lora.unmatched == unmatched, "unmatched keys, among them " + (lora.unmatched.empty() ? "none" : lora.unmatched[0]));
  for (const LoraDelta& delta : lora.deltas) report(wanted.count(id(delta)) == 1, id(delta) + " is changed");
  for (const auto& [key, values] : wanted) {
    const size_t at = key.find('@');
    const std::string parameter = key.substr(0, at);
    const std::vector<float>& base = bases().at(parameter);
    const float strength = at == std::string::npos ? 1 : std::stof(key.substr(at + 1));
    const double tolerance = 5e-5 * largest(values), error = distance(merged(lora, parameter, strength), values);
    report(error <= tolerance, key + " differs by " + std::to_string(error) + " of " + std::to_string(largest(values)));
    if (at != std::string::npos) continue;
    // Other strengths follow from strength 1.
    for (const float s : {0.0f, 0.6f, -0.5f, 2.5f}) {
      std::vector<float> between = base;
      for (size_t i = 0; i < base.size(); ++i) between[i] += s * (values[i] - base[i]);
      report(distance(merged(lora, parameter, s), between) <= std::max(1.0f, std::abs(s)) * tolerance, key + " at " + std::to_string(s));
    }
  }
}

TEST("lora: goldens of LyCORIS, PEFT and Diffusers") {
  check_golden("kohya", kGoldens + "kohya.safetensors", {"bundle_emb.word.clip_l", "lora_unet_out_0.alpha"});
  for (const char* name : {"locon-mid", "loha", "lokr", "dora", "ia3", "glora", "oft", "diffusers", "diffusers-old", "differences", "stacked-lora",
                           "stacked-lokr", "stacked-dora"})
    check_golden(name, kGoldens + name + ".safetensors");
  check_golden("peft", kGoldens + "peft/adapter_model.safetensors");
}

TEST("lora: ten deltas of all families in any order") {
  // to_k is the parameter that most goldens change.
  const std::string parameter = "unet.down_blocks.0.resnets.0.time_emb_proj.weight";
  const std::vector<float>& base = bases().at(parameter);
  std::vector<LoraDelta> deltas;
  for (const char* name : {"kohya", "locon-mid", "loha", "lokr", "dora", "ia3", "glora", "oft", "diffusers", "diffusers-old"})
    for (const LoraDelta& delta : read_lora(kGoldens + name + ".safetensors", tiny()).deltas)
      if (id(delta) == parameter) deltas.push_back(delta);
  CHECK(deltas.size() == 10);
  std::vector<float> strengths, first;
  for (size_t i = 0; i < deltas.size(); ++i) strengths.push_back(0.9f - 0.3f * float(i));
  std::vector<size_t> order(deltas.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 random(5);
  for (int round = 0; round < 6; ++round) {
    std::vector<float> weight = base;
    for (const size_t i : order) add_delta(deltas[i], strengths[i], base.data(), weight.data());
    if (round == 0) first = weight;
    CHECK(distance(weight, first) <= 1e-6 * largest(first) * double(deltas.size()));
    CHECK(distance(weight, base) > 0.1);
    std::shuffle(order.begin(), order.end(), random);
  }
}

TEST("lora: low-rank factors make the same change") {
  int factored = 0;
  for (const char* name : {"kohya", "locon-mid", "loha", "lokr", "dora", "ia3", "glora", "oft", "diffusers", "differences", "stacked-lora"})
    for (const LoraDelta& delta : read_lora(kGoldens + name + ".safetensors", tiny()).deltas) {
      const auto factors = low_rank(delta);
      CHECK(factors.has_value() == (std::holds_alternative<Product>(delta.kind) && !delta.magnitude));
      if (!factors) continue;
      ++factored;
      const std::vector<float>& base = bases().at(id(delta));
      std::vector<float> wanted(base.size(), 0), found(base.size(), 0);
      add_delta(delta, 1, nullptr, wanted.data());
      const size_t rows = size_t(delta.rows()), rank = size_t(factors->rank), columns = base.size() / rows;
      CHECK(factors->up.size() == rows * rank && factors->down.size() == rank * columns);
      for (size_t r = 0; r < rows; ++r)
        for (size_t k = 0; k < rank; ++k)
          for (size_t c = 0; c < columns; ++c) found[r * columns + c] += factors->up[r * rank + k] * factors->down[k * columns + c];
      CHECK(distance(found, wanted) <= 1e-5 * largest(wanted));
    }
  CHECK(factored >= 15);
}

TEST("lora: large products, odd sizes, every format of numbers") {
  std::vector<weights::Component> unet = {component_of("unet", {{"layer.weight", {203, 301}, ""}})};
  const weights::Component* const list[] = {&unet[0]};
  const Targets targets(list);
  constexpr int64_t kRank = 517;  // beyond one block of the product's depth
  const TestTensor up = numbers("unet.layer.lora_B.weight", {203, kRank}), down = numbers("unet.layer.lora_A.weight", {kRank, 301});
  const auto value = [](const TestTensor& t, int64_t i) { return double(value_at(reinterpret_cast<const std::byte*>(t.bytes.data()), DType::f32, i)); };
  const LoraFile lora = read({up, down}, {}, targets);
  std::vector<float> weight(203 * 301, 0.5f);
  add_delta(lora.deltas.at(0), -0.25f, nullptr, weight.data());
  double worst = 0;
  for (int64_t r = 0; r < 203; ++r)
    for (int64_t c = 0; c < 301; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < kRank; ++k) sum += value(up, r * kRank + k) * value(down, k * 301 + c);
      worst = std::max(worst, std::abs(0.5 - 0.25 * sum - weight[size_t(r * 301 + c)]));
    }
  CHECK(worst < 2e-5);  // of sums up to about 20

  // The same difference in every format: numbers that all of them hold.
  const float values[] = {1, -0.5f, 2, 0, -1.75f, 3.5f};
  for (const std::string dtype : {"F32", "F16", "BF16", "F8_E4M3", "F64"}) {
    TestTensor diff{"unet.layer.diff", {2, 3}, "", dtype};
    for (const float v : values) {
      const double wide = v;
      const uint16_t half = dtype == "F16" ? f32_to_f16(v) : f32_to_bf16(v);
      const uint8_t byte = v == 0 ? 0 : uint8_t((v < 0 ? 0x80 : 0) | (f32_to_f16(std::abs(v)) - 0x2000) >> 7);
      if (dtype == "F32") diff.bytes.append(reinterpret_cast<const char*>(&v), 4);
      else if (dtype == "F64") diff.bytes.append(reinterpret_cast<const char*>(&wide), 8);
      else if (dtype == "F8_E4M3") diff.bytes.append(reinterpret_cast<const char*>(&byte), 1);
      else diff.bytes.append(reinterpret_cast<const char*>(&half), 2);
    }
    std::vector<weights::Component> small = {component_of("unet", {{"layer.weight", {2, 3}, ""}})};
    const weights::Component* const one[] = {&small[0]};
    std::vector<float> sum(6, 0);
    add_delta(read({diff}, {}, Targets(one)).deltas.at(0), 1, nullptr, sum.data());
    CHECK(std::equal(sum.begin(), sum.end(), values));
  }
}

TEST("lora: a change of 4 input channels meets the 9 of an inpainting model") {
  auto tensors = tiny_unet();
  for (TestTensor& t : tensors)
    if (t.name == "conv_in.weight") t.shape = {32, 9, 3, 3};
  const weights::Component unet = component_of("unet", tensors);
  const weights::Component* const list[] = {&unet};
  const Targets inpainting(list);
  for (const char* name : {"kohya", "locon-mid", "loha", "lokr"}) {
    const LoraFile lora = read_lora(kGoldens + name + ".safetensors", inpainting);
    const LoraFile plain = read_lora(kGoldens + name + ".safetensors", tiny());
    const auto is_conv_in = [](const LoraDelta& d) { return d.parameter == "conv_in.weight"; };
    const auto nine = std::find_if(lora.deltas.begin(), lora.deltas.end(), is_conv_in),
               four = std::find_if(plain.deltas.begin(), plain.deltas.end(), is_conv_in);
    CHECK(nine != lora.deltas.end() && four != plain.deltas.end());
    std::vector<float> wide(32 * 81, 0), narrow(32 * 36, 0);
    add_delta(*nine, 1, nullptr, wide.data());
    add_delta(*four, 1, nullptr, narrow.data());
    bool same = true;
    for (size_t r = 0; r < 32; ++r)
      for (size_t c = 0; c < 81; ++c) same &= wide[r * 81 + c] == (c < 36 ? narrow[r * 36 + c] : 0);
    CHECK(same);
    if (const auto factors = low_rank(*nine)) CHECK(factors->down.size() == size_t(factors->rank) * 81 && factors->down[36] == 0);
  }
  CHECK(ERROR_OF(read_lora(kGoldens + "dora.safetensors", inpainting)).code == Code::lora_mismatch);
}

TEST("lora: NaN and infinite factors are refused when they are read") {
  for (const std::string dtype : {"F32", "F16", "BF16", "F64"}) {
    TestTensor up = numbers("lora_unet_conv_out.lora_up.weight", {4, 2, 1, 1}), down = numbers("lora_unet_conv_out.lora_down.weight", {2, 32, 3, 3});
    up.dtype = dtype;
    const size_t size = dtype == "F64" ? 8 : dtype == "F32" ? 4 : 2;
    up.bytes = std::string(8 * size, '\0');
    up.bytes[4 * size - 1] = '\x7f';
    up.bytes[4 * size - 2] = dtype == "F16" ? '\0' : '\xf8';
    if (dtype == "F16") up.bytes[4 * size - 1] = '\x7c';
    const LoraFile lora = read({up, down});
    std::vector<float> weight(4 * 288);
    const Error error = ERROR_OF(add_delta(lora.deltas.at(0), 1, nullptr, weight.data()));
    CHECK(error.code == Code::lora_format && error.message.find("some.safetensors: \"lora_unet_conv_out\" holds NaN or infinite") != std::string::npos);
    CHECK(ERROR_OF(low_rank(lora.deltas[0])).code == Code::lora_format);
  }
}

}  // namespace
}  // namespace sdxl::lora

// Autoencoders without files: tiles, wrapping and memory. Their numbers are checked against Diffusers in test/model.
#include <algorithm>
#include <optional>

#include "model/test_autoencoder.h"

namespace sdxl::test {

namespace {

using model::Autoencoder;
using model::Run;
using model::Tiling;

struct Both {
  Both() {
    make_vae(vae_tensors, {32, 32, 64}, 4);
    make_taesd(taesd_tensors, 4);
    vae.emplace(vae_tensors.component), taesd.emplace(taesd_tensors.component);
    pack(*vae, *backend), pack(*taesd, *backend);
  }
  std::vector<const Autoencoder*> all() const { return {&*vae, &*taesd}; }

  MadeUp vae_tensors{"vae"}, taesd_tensors{"taesd"};
  std::unique_ptr<ops::Backend> backend = make_cpu_backend(2, 0, "");
  std::optional<model::Vae> vae;
  std::optional<model::Taesd> taesd;
};

std::vector<float> values_of(ConstTensor x) { return {x.data(), x.data() + x.elements()}; }

// x [1, height, width, channels] moved by so many rows and columns, around the edges.
std::vector<float> rolled(const std::vector<float>& x, int64_t height, int64_t width, int64_t down, int64_t right) {
  const int64_t channels = int64_t(x.size()) / (height * width);
  std::vector<float> y(x.size());
  for (int64_t r = 0; r < height; ++r)
    for (int64_t c = 0; c < width; ++c)
      std::copy_n(x.data() + (r * width + c) * channels, channels, y.data() + ((r + down) % height * width + (c + right) % width) * channels);
  return y;
}

// Root mean square of the difference, relative to that of `wanted`.
double difference(const std::vector<float>& found, const std::vector<float>& wanted) {
  double error = 0, size = 0;
  for (size_t i = 0; i < wanted.size(); ++i) error += std::pow(double(found[i]) - wanted[i], 2), size += std::pow(wanted[i], 2);
  return found.size() == wanted.size() ? std::sqrt(error / size) : INFINITY;
}

// Smooth around both axes: what a picture without seams looks like to an encoder.
std::vector<float> waves(int64_t height, int64_t width, int64_t channels) {
  std::vector<float> x;
  for (int64_t r = 0; r < height; ++r)
    for (int64_t c = 0; c < width; ++c)
      for (int64_t k = 0; k < channels; ++k)
        x.push_back(float(std::sin(6.28318530718 * (double(c) / double(width) * double(k + 1) + double(k) / 5)) *
                          std::cos(6.28318530718 * (double(r) / double(height) + double(k) / 7))));
  return x;
}

}  // namespace

TEST("autoencoder: decoding that wraps knows no place where the picture begins") {
  const Both both;
  const int64_t height = 6, width = 10;
  const auto latents = numbers(height * width * 4, 1);
  for (const Autoencoder* autoencoder : both.all()) {
    const int64_t scale = autoencoder->scale();
    const auto decode = [&](const std::vector<float>& x, Tiling tiling) {
      return values_of(autoencoder->decode({*both.backend, nullptr, tiling}, {x.data(), {1, height, width, 4}}));
    };
    for (const Tiling tiling : {Tiling{true, false}, Tiling{false, true}, Tiling{true, true}}) {
      const int64_t down = tiling.y ? 2 : 0, right = tiling.x ? 7 : 0;
      const auto moved = decode(rolled(latents, height, width, down, right), tiling);
      const auto wanted = rolled(decode(latents, tiling), height * scale, width * scale, down * scale, right * scale);
      // The order of sums over pixels in norms and attention is all that differs.
      CHECK(difference(moved, wanted) < 1e-5);
    }
    CHECK(difference(decode(rolled(latents, height, width, 0, 7), {}), rolled(decode(latents, {}), height * scale, width * scale, 0, 7 * scale)) > 1e-2);
  }
}

TEST("autoencoder: one tile over everything is the whole, wrapping or not") {
  const Both both;
  const int64_t height = 5, width = 7;
  for (const Autoencoder* autoencoder : both.all())
    for (const Tiling tiling : {Tiling{}, Tiling{true, true}}) {
      const Run run{*both.backend, nullptr, tiling};
      const int64_t scale = autoencoder->scale();
      const auto latents = numbers(height * width * 4, 1), pixels = numbers(height * width * scale * scale * 3, 2);
      const ConstTensor x{latents.data(), {1, height, width, 4}}, picture{pixels.data(), {1, height * scale, width * scale, 3}};
      CHECK(same_bits(values_of(autoencoder->decode_tiled(run, x, 8)), values_of(autoencoder->decode(run, x))));
      CHECK(same_bits(values_of(autoencoder->encode_tiled(run, picture, 8)), values_of(autoencoder->encode(run, picture))));
    }
}

TEST("autoencoder: tiles come close to the whole, the closer the larger they are") {
  const Both both;
  const int64_t height = 29, width = 42;  // multiples of no step
  for (const Autoencoder* autoencoder : both.all())
    for (const Tiling tiling : {Tiling{}, Tiling{true, false}, Tiling{true, true}}) {
      const Run run{*both.backend, nullptr, tiling};
      const int64_t scale = autoencoder->scale();
      const auto latents = waves(height, width, 4), pixels = waves(height * scale, width * scale, 3);
      const ConstTensor x{latents.data(), {1, height, width, 4}}, picture{pixels.data(), {1, height * scale, width * scale, 3}};
      const auto decoded = values_of(autoencoder->decode(run, x)), encoded = values_of(autoencoder->encode(run, picture));
      const auto decoded_by = [&](int64_t tile) { return difference(values_of(autoencoder->decode_tiled(run, x, tile)), decoded); };
      const auto encoded_by = [&](int64_t tile) { return difference(values_of(autoencoder->encode_tiled(run, picture, tile)), encoded); };
      const bool vae = autoencoder == &*both.vae;
      // TAESD sees some pixels around each, which a tile's overlap covers in good part. A VAE's attention and norms see the whole tile, and
      // random weights make another picture of another mean; a trained one is far closer. A tile in the wrong place is off by 1 and more.
      const double most = vae ? 0.5 : 0.12;
      CHECK(decoded_by(24) < most && encoded_by(24) < most);
      CHECK(decoded_by(24) < 0.6 * decoded_by(12) && encoded_by(24) < 0.6 * encoded_by(12));
    }
}

TEST("autoencoder: tiles that wrap know no place where the picture begins but their own grid") {
  const Both both;
  const int64_t tile = 16, step = 12;
  struct Case {
    int64_t height, width;
    Tiling tiling;
    double most;
  };
  // Where tiles meet in fours, Diffusers' way of blending depends on which comes first; else the order of sums is all that differs.
  const Case cases[] = {{9, 36, {true, false}, 1e-5}, {9, 36, {true, true}, 1e-5}, {36, 9, {false, true}, 1e-5}, {36, 24, {true, true}, 0.05}};
  for (const Autoencoder* autoencoder : both.all())
    for (const auto& [height, width, tiling, most] : cases) {
      const int64_t scale = autoencoder->scale(), rows = height * scale, columns = width * scale;
      const auto latents = numbers(height * width * 4, 1), pixels = numbers(rows * columns * 3, 2);
      const int64_t down = tiling.y && height > tile ? 2 * step : 0, right = tiling.x && width > tile ? step : 0;
      // Of what is rolled, decoded and rolled back; the same for encoding.
      const auto coded = [&, height = height, width = width](int64_t by_rows, int64_t by_columns, Tiling around) {
        const Run run{*both.backend, nullptr, around};
        const auto from = rolled(latents, height, width, by_rows, by_columns);
        const auto picture = rolled(pixels, rows, columns, by_rows * scale, by_columns * scale);
        const Array decoded = autoencoder->decode_tiled(run, {from.data(), {1, height, width, 4}}, tile);
        const Array encoded = autoencoder->encode_tiled(run, {picture.data(), {1, rows, columns, 3}}, tile);
        return std::pair(rolled(values_of(decoded), rows, columns, rows - by_rows * scale, columns - by_columns * scale),
                         rolled(values_of(encoded), height, width, height - by_rows, width - by_columns));
      };
      const auto wanted = coded(0, 0, tiling), found = coded(down, right, tiling), plain = coded(down, right, {});
      for (const auto part : {&std::pair<std::vector<float>, std::vector<float>>::first, &std::pair<std::vector<float>, std::vector<float>>::second}) {
        CHECK(difference(found.*part, wanted.*part) < most);
        CHECK(difference(plain.*part, wanted.*part) > 2 * most + 1e-2);
      }
    }
}

TEST("autoencoder: what is counted on is enough, and not much more than enough") {
  const Both both;
  for (const Autoencoder* autoencoder : both.all())
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{60, 60}, {40, 100}}) {
      const int64_t scale = autoencoder->scale();
      const auto latents = numbers(height * width * 4, 1), pixels = numbers(height * width * scale * scale * 3, 2);
      const auto held = [&, height = height, width = width](const auto& work) {
        // A fresh backend: an arena remembers its highest mark. Packed weights can be read by any of its kind.
        const auto backend = make_cpu_backend(2, 0, "");
        work(Run{*backend, nullptr, {}}, ConstTensor{latents.data(), {1, height, width, 4}}, ConstTensor{pixels.data(), {1, height * scale, width * scale, 3}});
        return int64_t(backend->arena().peak());
      };
      const auto check_counted = [&](const char* what, int64_t found, int64_t counted) {
        // A sixteenth of the room is left for scratch memory, of which every instruction set needs another amount.
        check(found <= counted + counted / 15 && counted < found + found * 2 / 3, __FILE__, __LINE__,
              std::string(what) + ": " + std::to_string(found) + " bytes held, " + std::to_string(counted) + " counted on");
      };
      check_counted("decode", held([&](const Run& run, ConstTensor x, ConstTensor) { autoencoder->decode(run, x); }), autoencoder->decode_bytes(height, width));
      check_counted("encode", held([&](const Run& run, ConstTensor, ConstTensor x) { autoencoder->encode(run, x); }), autoencoder->encode_bytes(height, width));
      const int64_t tile = 36, h = std::min(tile, height), w = std::min(tile, width);
      for (const Tiling tiling : {Tiling{}, Tiling{true, true}}) {
        const auto with = [&](Run run) {
          run.tiling = tiling;
          return run;
        };
        check_counted("decode in tiles", held([&](const Run& run, ConstTensor x, ConstTensor) { autoencoder->decode_tiled(with(run), x, tile); }),
                      autoencoder->decode_bytes(h, w) + autoencoder->beside_decoded_tile(height, width, tile, tiling));
        check_counted("encode in tiles", held([&](const Run& run, ConstTensor, ConstTensor x) { autoencoder->encode_tiled(with(run), x, tile); }),
                      autoencoder->encode_bytes(h, w) + autoencoder->beside_encoded_tile(height, width, tile, tiling));
      }
    }
}

TEST("taesd: what is missing, left over or of another shape is named") {
  const auto problems = [](const std::function<void(weights::Component&)>& change) {
    MadeUp tensors("taesd");
    make_taesd(tensors, 4);
    change(tensors.component);
    std::string all;
    for (const std::string& problem : model::Taesd(tensors.component).layers.reader.problems()) all += problem + "\n";
    return all;
  };
  const auto has = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(problems([](auto&) {}).empty());
  CHECK(has(problems([](auto& c) { c.tensors.erase("decoder.layers.5.conv.2.weight"); }), "decoder.layers.5.conv.2.weight is missing"));
  CHECK(has(problems([](auto& c) { c.tensors.erase("decoder.layers.6.skip.weight"); }), "decoder.layers.6.skip.weight is missing"));
  CHECK(has(problems([](auto& c) { c.tensors.erase("encoder.layers.0.weight"); }), "encoder.layers.0.weight is missing"));
  CHECK(has(problems([](auto& c) { c.tensors["decoder.layers.2.conv.6.bias"] = c.tensors["decoder.layers.0.bias"]; }),
            "decoder.layers.2.conv.6.bias (decoder.layers.0.bias) is left over"));
  CHECK(has(problems([](auto& c) { c.tensors["decoder.layers.9.weight"].shape[0] = 4; }), "wanted [3, 8, 3, 3]"));
  CHECK(has(problems([](auto& c) { c.tensors["encoder.layers.5.weight"].shape[0] = 5; }), "wanted [4, 12, 3, 3]"));
  // A half alone is complete.
  for (const char* half : {"decoder.", "encoder."})
    CHECK(problems([&](auto& c) { std::erase_if(c.tensors, [&](const auto& t) { return t.first.starts_with(half); }); }).empty());
  // One halving less than doublings.
  const std::string unlike = problems([](auto& c) {
    for (const char* what : {".weight", ".bias"}) {
      c.tensors[std::string("encoder.layers.4") + what] = c.tensors[std::string("encoder.layers.5") + what];
      c.tensors.erase(std::string("encoder.layers.5") + what);
    }
  });
  CHECK(has(unlike, "the encoder halves a picture 1 times, the decoder doubles it 2 times"));
}

}  // namespace sdxl::test

// Finds the files that tags such as <lora:name:0.8> mean.
#pragma once

#include <string>
#include <vector>

namespace sdxl::engine {

struct FoundLora {
  std::string path;  // "" when there is none
  int candidates = 0;
};

class LoraDirectory {
 public:
  // Lists the safetensors files in the directory and its sub-folders. Throws Error(invalid_argument) when that is no directory.
  explicit LoraDirectory(const std::string& directory);

  // The first in alphabetical order of: the path below the directory without extension ("styles/ink"), the file's name without extension
  // ("ink"), the same regardless of case, the name that kohya's scripts wrote into the file (ss_output_name). A name is only compared with
  // what is there, so none leads out of the directory.
  FoundLora find(const std::string& name) const;

 private:
  struct Entry {
    std::string relative, stem, path;  // "styles/ink", "ink", the file
  };
  std::vector<Entry> entries_;  // by `relative`
};

}  // namespace sdxl::engine

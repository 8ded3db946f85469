// Finds the files that tags such as <lora:name:0.8> mean.
#pragma once

#include <string>

namespace sdxl::engine {

struct FoundLora {
  std::string path;  // "" when there is none
  int candidates = 0;
};

// In `directory` and its sub-folders, the first in alphabetical order of: the path below it without extension ("styles/ink"), the file's name
// without extension ("ink"), the same regardless of case, the name that kohya's scripts wrote into the file (ss_output_name). A name is only
// compared with what is there, so none leads out of the directory. Throws Error(invalid_argument) when that is no directory.
FoundLora find_lora(const std::string& directory, const std::string& name);

}  // namespace sdxl::engine

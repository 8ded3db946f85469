// The files of CLIP's tokenizer as transformers reads them, from the byte-pair merges.
#pragma once

#include <map>
#include <string>

namespace sdxl::convert {

// Name → text: vocab.json, merges.txt, special_tokens_map.json, tokenizer_config.json. `merges`: lines of "left right" in order of rank,
// without a header. `padding`: "<|endoftext|>" for the first encoder; "!", whose id is 0, for the second.
std::map<std::string, std::string> tokenizer_files(const std::string& merges, const std::string& padding);

}  // namespace sdxl::convert

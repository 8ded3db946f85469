// The small files of a Diffusers folder: configurations and tokenizers.
#pragma once

#include <map>
#include <string>

#include "convert/layout.h"
#include "engine/parts.h"

namespace sdxl::convert {

using Texts = std::map<std::string, std::string>;  // name inside the folder → text

// Those a Diffusers folder has, of the ones a model consists of; none for a single file.
Texts read_small_files(const weights::Checkpoint& checkpoint);

// All that a folder made of this checkpoint needs. What the source says about itself is kept; the rest follows from the weights.
// `merges`: of CLIP's tokenizer, see tokenizer_files.
Texts folder_texts(const weights::Checkpoint& checkpoint, const engine::Parts& parts, const Texts& source, TargetType dtype, const std::string& merges);

}  // namespace sdxl::convert

// SHA-256 of whole files, remembered where the file system can: hashing a model takes seconds.
#pragma once

#include <string>

#include "convert/job.h"

namespace sdxl::convert {

// What remember_hash was told about this file, unless it has changed since; "" otherwise.
std::string known_hash(const std::string& path);

// Writes it beside the file's name, as an extended attribute: no second file that could be lost, moved or taken for a model. Where the file
// system has none, nothing is remembered.
void remember_hash(const std::string& path, const std::string& sha256);

// Reads the file. Adds its bytes to the job's.
std::string hash_of(const std::string& path, Job& job, const std::string& phase);

}  // namespace sdxl::convert

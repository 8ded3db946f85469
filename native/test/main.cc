#include "test/check.h"

int main(int argc, char** argv) { return sdxl::test::run_tests(argc, argv); }

#include <iostream>

#include "control/ctl/program.h"

int main(int argc, char** argv) {
  weir::ctl::Program program;
  weir::ctl::add_all_commands(program);
  return program.run(argc, argv, std::cout, std::cerr);
}

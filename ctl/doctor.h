// `meshllm doctor`: what this machine protects a node with, and what not.
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

int command_doctor(int argc, char *const argv[]);

#endif

#pragma once
#include <napi.h>

namespace ringfort {
// table.cc: the step table and the protocol's numbers
void InitTable(Napi::Env env, Napi::Object exports);
// sys*.cc: the raw system calls of ringfort/sys
void InitSys(Napi::Env env, Napi::Object exports);
// launcher*.cc: starts the launcher and carries its messages
void InitLauncher(Napi::Env env, Napi::Object exports);
// socket.cc: a socket of messages, such as the one to a file agent
void InitSocket(Napi::Env env, Napi::Object exports);
// writer.cc: writes to a terminal that never wait
void InitWriter(Napi::Env env, Napi::Object exports);
// seek.cc: where a file has data
void InitSeek(Napi::Env env, Napi::Object exports);
// kept.cc: descriptors that are closed at the end of a worker
void InitKept(Napi::Env env, Napi::Object exports);
}  // namespace ringfort

#pragma once
#include <napi.h>

namespace ringfort {
void InitTable(Napi::Env env, Napi::Object exports);     // table.cc: the step table and protocol numbers
void InitSys(Napi::Env env, Napi::Object exports);       // sys*.cc: the raw system calls of ringfort/sys
void InitLauncher(Napi::Env env, Napi::Object exports);  // launcher*.cc: starts the launcher, carries its messages
}  // namespace ringfort

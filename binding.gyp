{
  "targets": [
    {
      "target_name": "launcher",
      "type": "executable",
      "sources": ["<!@(ls -1 native/launcher/*.cc)"],
      "include_dirs": ["native"],
      "cflags!": ["-fPIC", "-pthread"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags": ["-ffreestanding", "-fno-stack-protector", "-fno-pie", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Os"],
      "cflags_cc": ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-fno-asynchronous-unwind-tables"],
      "defines": ["RINGFORT_FREESTANDING"],
      "ldflags!": ["-pthread", "-rdynamic"],
      "ldflags": ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Wl,-z,relro", "-s"],
      "libraries!": ["-lm"],
      "configurations": { "Release": { "cflags!": ["-O3"] } }
    },
    {
      "target_name": "ringfort",
      "dependencies": ["launcher"],
      "sources": ["<!@(ls -1 native/addon/*.cc)", "<(INTERMEDIATE_DIR)/launcher_bytes.cc"],
      "include_dirs": ["native", "<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
      "cflags": ["-Wall", "-Wextra", "-Wno-unused-parameter"],
      "cflags_cc": ["-std=c++17", "-fvisibility=hidden"],
      "ldflags": ["-static-libstdc++", "-static-libgcc", "-Wl,-z,nodelete"],
      "actions": [
        {
          "action_name": "embed_launcher",
          "inputs": ["<(PRODUCT_DIR)/launcher", "scripts/embed.cjs"],
          "outputs": ["<(INTERMEDIATE_DIR)/launcher_bytes.cc"],
          "action": ["node", "scripts/embed.cjs", "<(PRODUCT_DIR)/launcher", "<(INTERMEDIATE_DIR)/launcher_bytes.cc"]
        }
      ]
    }
  ]
}

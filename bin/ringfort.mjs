#!/bin/sh
':' //; exec node -- "$0" "$@"
// A program for sh, then for node: without `--` before it, node 20 takes --env-file for its own
// wherever it stands, among the guest's arguments too, and NODE_OPTIONS from that file.
import '../dist/lib/bundle/cli.js';

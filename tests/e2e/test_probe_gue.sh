#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Probes through GUE.
. "$(dirname "$0")/lib.sh"
. "$LAB_FILES/probe_tunnel.sh"

LAB_FORWARD=gue
lab_start l3
probe_tests_l3

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Probes by a rewritten MAC address: there is nothing to decapsulate, but the VIP must be there.
. "$(dirname "$0")/lib.sh"
. "$LAB_FILES/probe_tunnel.sh"

LAB_MTU=1500
lab_start l2
equal "way of web1's probe" "$(via 1 web web1)" "vip $VIP4"
equal "way of web1's probe, IPv6" "$(via 1 web6 web1)" "vip $VIP6"
probe_test_vip 4 web "$VIP4/32"
probe_test_vip 6 web6 "$VIP6/128"
equal "IPv4 was not touched by the lack of an IPv6 VIP" "$(backend_field 1 web web1 .state)" healthy

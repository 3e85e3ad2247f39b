"""What the simulators' commands say, in both languages: {key: (zh, en)}. What they log of messages is in English only."""

from collections.abc import Mapping

SIMULATED: Mapping[str, tuple[str, str]] = {
    # wrong options
    "sim_pair": ("{text!r} 没有写故障:请写成 {form},如 {example}", "{text!r} says nothing: write {form}, as {example}"),
    "sim_hex": ("{option} 应为十六进制,每字节两位", "{option} must be hexadecimal, two digits a byte"),
    "sim_address": ("{text!r} 不是地址:请写成 HOST:PORT", "{text!r} is no address: write HOST:PORT"),
    "sim_needs_cert": ("{option} 须与 --tls-cert 同用", "{option} needs --tls-cert"),
    "sim_tls": ("{files} 无法用于 TLS:{reason}", "{files} cannot be used for TLS: {reason}"),
    "sim_tcp": (
        "--tcp 应为 HOST:PORT,如 127.0.0.1:9100,而不是 {text!r}", "--tcp takes HOST:PORT, like 127.0.0.1:9100, not {text!r}",
    ),
    "sim_bridge": (
        "--bridge 应为 unix:/path 或 tcp://127.0.0.1:port,而不是 {text!r}",
        "--bridge takes unix:/path or tcp://127.0.0.1:port, not {text!r}",
    ),
    "sim_two_printers": (
        "--tcp 和 --bridge 是两种打印机,只能选一种", "--tcp and --bridge are two kinds of printer: choose one",
    ),
    "sim_link": (
        "--link 只用于伪终端,与 --tcp 或 --bridge 同用没有意义",
        "--link is for the pseudo terminal: it has no meaning with --tcp or --bridge",
    ),
    # why one does not start, and what went wrong
    "sim_acquirer": ("模拟收单主机无法启动:{detail}", "the simulated acquirer cannot start: {detail}"),
    "sim_payapp": ("模拟收银程序无法启动:{detail}", "the simulated payment app cannot start: {detail}"),
    "sim_wallet": ("模拟钱包网关无法启动:{detail}", "the simulated wallet cannot start: {detail}"),
    "sim_printer": ("模拟打印机无法启动:{detail}", "the simulated printer cannot start: {detail}"),
    "sim_display": ("模拟客显无法启动:{detail}", "the simulated display cannot start: {detail}"),
    "sim_ledger": ("账本无法写入 {path}:{detail}", "the ledger cannot be written to {path}: {detail}"),
    # where it is found
    "sim_printer_on": ("打印机 {port}{more}", "printer on {port}{more}"),
    "sim_display_on": ("客显 {port}{more}", "display on {port}{more}"),
}

@rem Comporta by the Windows Task Scheduler, for who may not install a service: one sync every 30 minutes.
@rem A sync that still runs when the next begins does no harm: the second says who is at work, and ends with 4.
@set HOME_OF_COMPORTA=C:\comporta
schtasks /Create /TN Comporta /SC MINUTE /MO 30 /RL LIMITED /F /TR "cmd /c cd /d %HOME_OF_COMPORTA% && .venv\Scripts\comporta.exe sync --json >> sync.log 2>&1"
schtasks /Create /TN "Comporta watch" /SC HOURLY /RL LIMITED /F /TR "cmd /c cd /d %HOME_OF_COMPORTA% && .venv\Scripts\comporta.exe status --max-age 90m >> watch.log 2>&1"

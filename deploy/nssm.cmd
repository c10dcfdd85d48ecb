@rem Comporta as a Windows service, by NSSM (https://nssm.cc). Run once, as administrator, with the folder that has comporta.toml.
@set HOME_OF_COMPORTA=C:\comporta
nssm install Comporta "%HOME_OF_COMPORTA%\.venv\Scripts\comporta.exe" serve
nssm set Comporta AppDirectory "%HOME_OF_COMPORTA%"
nssm set Comporta AppEnvironmentExtra "COMPORTA_CONFIG=%HOME_OF_COMPORTA%\comporta.toml" "COMPORTA_STATE_DIR=%HOME_OF_COMPORTA%\state"
nssm set Comporta AppStderr "%HOME_OF_COMPORTA%\log.jsonl"
nssm set Comporta AppRotateFiles 1
nssm set Comporta AppRotateOnline 1
nssm set Comporta AppRotateBytes 20000000
nssm set Comporta AppStopMethodConsole 30000
nssm set Comporta AppExit Default Restart
nssm set Comporta AppRestartDelay 5000
nssm set Comporta Start SERVICE_DELAYED_AUTO_START
nssm start Comporta

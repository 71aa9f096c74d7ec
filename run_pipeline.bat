@echo off
rem Run a recipe here, or containers: run_pipeline recipe.yaml --set ... is "burnish run"; run_pipeline up train ...
rem (or down, bash, logs) is "burnish up".
setlocal
set "BURNISH=%~dp0.venv\Scripts\burnish.exe"
if exist "%BURNISH%" goto found
set "BURNISH=burnish"
where /q burnish
if not errorlevel 1 goto found
echo error: burnish is not installed 1>&2
echo hint:  pip install burnish 1>&2
exit /b 5
:found
if "%~1"=="" goto usage
if /i "%~1"=="up" goto verb
if /i "%~1"=="down" goto verb
if /i "%~1"=="bash" goto verb
if /i "%~1"=="logs" goto verb
"%BURNISH%" run %*
exit /b %ERRORLEVEL%
:verb
"%BURNISH%" %*
exit /b %ERRORLEVEL%
:usage
echo usage: %~nx0 RECIPE.yaml [options of burnish run] 1>&2
echo        %~nx0 up^|down^|bash^|logs [options of that command] 1>&2
exit /b 2
